import { describe, expect, test } from "vitest";
import { welcome } from "../../src/cli/welcome.ts";

const RUNNING = { url: "http://127.0.0.1:8787/mcp", keys: { free: "tp_key" }, origin: null, state: ".turnpike" };

describe("what a started gate prints", () => {
  test.each([null, "http://127.0.0.1:3000/mcp"])("says how to buy where play money buys, in front of %s", (origin) => {
    expect(welcome({ ...RUNNING, origin, isSellingForPlayMoney: true })).toContain("npx turnpike pay <invoice>");
    expect(welcome({ ...RUNNING, origin, isSellingForPlayMoney: false })).not.toContain("turnpike pay");
  });
});
