/** The gate's own endpoints and tools: their methods, the pages that may call them, and what they tell to whom. */

import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { aKey, anAddress, aPass, call, challengeIn, exhaust, open, SECRET, solve, verify, watchWire, wire } from "./prepaid-gate.ts";

watchWire();

describe("the gate's own endpoints", () => {
  test("answer HEAD as GET, and tell what they take", async () => {
    const send = open();
    for (const path of ["/gate/limits", "/gate/status", "/gate/health"]) {
      expect((await send({ method: "HEAD", path, headers: anAddress() })).status).toBe(200);
      const wrong = await send({ method: "DELETE", path });
      expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
    for (const path of ["/gate/challenge", "/gate/verify", "/gate/token/verify"]) {
      for (const method of ["GET", "HEAD", "OPTIONS"]) expect((await send({ method, path })).status).toBe(405);
    }
    expect((await send({ method: "GET", path: "/turnpike/limits" })).status).toBe(200);
    expect(wire.forwarded.map(({ url }) => url)).toEqual(["https://origin.example/turnpike/limits"]);
  });

  test("may be called by pages of allowed sites, and by no others", async () => {
    const send = open();
    const preflight = { "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, x-api-key" };
    for (const path of ["/gate/limits", "/gate/status", "/gate/challenge", "/gate/verify", "/gate/mcp"]) {
      const allowed = await send({ method: "OPTIONS", path, headers: { Origin: "https://app.example", ...preflight } });
      expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([204, "https://app.example"]);
      const foreign = await send({ method: "OPTIONS", path, headers: { Origin: "https://evil.example", ...preflight } });
      expect([foreign.status, foreign.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    }
    const address = anAddress();
    const page = { ...address, Origin: "https://app.example" };
    const refused = await exhaust(send, page);
    expect(refused.headers.get("access-control-expose-headers")).toContain("WWW-Authenticate");
    const solution = await solve(await challengeIn(refused));
    expect((await verify(send, solution, { ...address, Origin: "https://evil.example" })).status).toBe(403);
    expect((await verify(send, solution, page)).headers.get("access-control-allow-origin")).toBe("https://app.example");
    const limits = await send({ method: "GET", path: "/gate/limits", headers: { Origin: "https://app.example" } });
    expect(limits.headers.get("vary")).toBe("Origin");
    expect((await send({ method: "GET", path: "/gate/limits" })).headers.get("vary")).toBe("Origin");
  });

  test("tell of no other consumer, no key and no secret", async () => {
    const send = open();
    const { token, owner } = await aPass(send);
    const stranger = { ...anAddress(), "Turnpike-Pass": token };
    const answers = await Promise.all([
      send({ method: "GET", path: "/gate/limits", headers: stranger }),
      send({ method: "GET", path: "/gate/status", headers: stranger }),
      send({ path: "/gate/challenge", headers: stranger }),
      send({ path: "/gate/token/verify", headers: stranger, body: { token: `${token}x` } }),
      send({ path: "/gate/verify", headers: stranger, body: { id: owner["X-API-Key"], salt: "", nonce: "", signature: "" } }),
      send({ path: "/gate/nothing", headers: stranger }),
    ]);
    for (const answer of answers) expect(await answer.text()).not.toMatch(new RegExp(`owner-|${owner["X-API-Key"]}|${SECRET}`));
    expect(wire.logged.join("\n")).not.toContain(token);
    expect(wire.logged.join("\n")).not.toContain(owner["X-API-Key"]);
  });

  test("count each call of a batch of tools", async () => {
    // Six hundred a minute: none of it is won back meanwhile.
    vi.useFakeTimers({ toFake: ["Date"] });
    const send = open();
    const headers = await aKey("small");
    const batch = Array.from({ length: 100 }, (_, id) => ({ ...call("status", {}, id) }));
    let refused = 0;
    for (let i = 0; i < 7; i++) {
      const replies = await (await send({ path: "/gate/mcp", headers, body: batch })).json<{ result: { isError?: boolean } }[]>();
      refused += replies.filter(({ result }) => result.isError).length;
    }
    vi.useRealTimers();
    expect(refused).toBe(100);
  });

  test("show the limits as they are overridden in KV", async () => {
    await env.KEYS.put(
      "plan:firm",
      JSON.stringify({ rate: 7, offers: { pow: { difficulty: 3 } }, tools: { search: { cost: 4, rate: 2 } } }),
    );
    const { plans } = await (await open()({ method: "GET", path: "/gate/limits" })).json<{ plans: Record<string, object> }>();
    await env.KEYS.delete("plan:firm");
    expect(plans["firm"]).toMatchObject({
      limits: [{ name: "firm", quota: 7 }, { name: "handshake" }, { name: "firm.streams" }],
      tools: { search: { cost: 4, limits: [{ name: "search", quota: 2 }] } },
      offers: [{ type: "pow", difficulty: 3, maxDifficulty: 22, calls: 10 }],
    });
  });
});

describe("the gate's tools among the origin's", () => {
  test("are answered in a batch of their own, never in one with the origin's, and in the modern era", async () => {
    const send = open();
    const headers = await aKey("small");
    const own = await send({ headers, body: [call("gate_status", {}, 1), call("gate_challenge", {}, 2)] });
    expect((await own.json<{ id: number }[]>()).map(({ id }) => id)).toEqual([1, 2]);
    expect((await send({ headers, body: [call("gate_status", {}, 1), call("echo", {}, 2)] })).status).toBe(400);
    const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} };
    const modern = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "gate_status", arguments: {}, _meta: meta } };
    const modernHeaders = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "gate_status" };
    const answer = await send({ headers: { ...headers, ...modernHeaders }, body: modern });
    expect(await answer.json()).toMatchObject({ id: 1, result: { resultType: "complete", structuredContent: { plan: "small" } } });
    expect(wire.forwarded).toEqual([]);
  });
});
