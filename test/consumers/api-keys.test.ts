import { describe, expect, test } from "vitest";
import { createKey, hashKey, KEY_PREFIX, parseKeyRecord } from "../../src/consumers/api-keys.ts";

const RECORD = { consumer: "acme", plan: "pro", version: 1, createdAt: "2026-11-21T12:00:00Z" };

describe("an API key", () => {
  test("is random, long, and safe in a header", () => {
    const keys = Array.from({ length: 1_000 }, createKey);
    expect(new Set(keys).size).toBe(1_000);
    for (const key of keys) expect(key).toMatch(/^tp_[\w-]{43}$/);
    expect(keys[0]!.startsWith(KEY_PREFIX)).toBe(true);
  });

  test("is known by its SHA-256 in hex", async () => {
    expect(await hashKey("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

describe("a key's record", () => {
  test("is read as it was written", () => {
    const full = { ...RECORD, name: "ci", expiresAt: "2027-01-01T00:00:00Z", disabled: false, metadata: { seats: 3 } };
    expect(parseKeyRecord(JSON.stringify(full))).toEqual(full);
    expect(parseKeyRecord(JSON.stringify(RECORD))).toEqual(RECORD);
  });

  test.each([
    "",
    "null",
    "{}",
    "not JSON",
    JSON.stringify({ ...RECORD, version: 0 }),
    JSON.stringify({ ...RECORD, consumer: "" }),
    JSON.stringify({ ...RECORD, expiresAt: "soon" }),
    JSON.stringify({ ...RECORD, disabled: "yes" }),
  ])("%j is none", (text) => {
    expect(parseKeyRecord(text)).toBeNull();
  });
});
