import { describe, expect, test } from "vitest";
import { costOf, maskOf, price, watchCharges } from "../../src/limits/price.ts";
import { limitsIn, resolveTerms } from "../../src/limits/terms.ts";
import { createWatchRules, type WatchRule } from "../../src/limits/watches.ts";
import type { Message } from "../../src/mcp/message.ts";

const TERMS = resolveTerms(
  "pro",
  { rate: 120, quotas: { daily: { calls: 5_000, per: "day" }, hourly: { calls: 900, per: "1h" } } },
  { perMinute: 60 },
);
const TEN: WatchRule = { calls: 10, windowMs: 60_000, mode: "enforce" };
const RULES = createWatchRules(
  { identical: TEN },
  {
    "get_job_*": {},
    pay: { identical: { calls: 1, windowMs: 3_600_000, mode: "enforce" } },
    search: { identical: TEN, "same-tool": { calls: 50, windowMs: 60_000, mode: "observe" }, "in-a-row": TEN, "taking-turns": TEN },
  },
);

function request(method: string, params: Record<string, unknown> = {}): Message {
  return { kind: "request", id: 1, method, params };
}

const search = (query: string): Message => request("tools/call", { name: "search", arguments: { query } });
const call = (name: string): Message => request("tools/call", { name, arguments: {} });

describe("the price of a POST", () => {
  test("is one charge for each request in the work and handshake lanes, and none for the rest", () => {
    const messages: Message[] = [
      call("echo"),
      { kind: "notification", method: "notifications/progress", params: {} },
      request("tools/list"),
      request("subscriptions/listen"),
      { kind: "response" },
      call("echo"),
    ];
    const priced = price(messages, TERMS);
    expect(priced.lane).toBe("work");
    expect(priced.charges.map((charge) => charge.limits)).toEqual([TERMS.workMask, TERMS.handshakeMask, TERMS.workMask]);
    expect(costOf(priced)).toBe(3);
    expect(limitsIn(TERMS, maskOf(priced)).map((limit) => limit.name)).toEqual(["pro", "daily", "hourly", "handshake"]);
  });

  test("work never falls under the handshake's limit, nor a handshake under those of work", () => {
    expect(limitsIn(TERMS, TERMS.workMask).map((limit) => limit.name)).toEqual(["pro", "daily", "hourly"]);
    expect(limitsIn(TERMS, TERMS.handshakeMask).map((limit) => limit.name)).toEqual(["handshake"]);
    expect(price([request("initialize")], TERMS).charges.map((charge) => charge.limits)).toEqual([TERMS.handshakeMask]);
  });

  test("of notifications and answers alone is nothing", () => {
    expect(price([{ kind: "response" }], TERMS)).toMatchObject({ lane: "unmetered", charges: [] });
  });
});

describe("the loop breaker's rules", () => {
  test("watch work under the rule of its name, and nothing else", () => {
    const messages = [
      call("echo"),
      request("tools/list"),
      call("get_job_status"),
      call("pay"),
      { kind: "response" } as const,
      call("echo"),
    ];
    const charges = watchCharges(price(messages, TERMS), messages, RULES);
    expect(charges.map(({ watches }) => watches[0]?.calls)).toEqual([10, undefined, undefined, 1, 10]);
    expect(charges[0]!.watches).toEqual(charges[4]!.watches);
    expect(charges[0]!.watches[0]!.fingerprint).not.toBe(charges[3]!.watches[0]!.fingerprint);
  });

  test("go by the URI of a resource and the name of a prompt", () => {
    const rules = createWatchRules({ identical: TEN }, { "file://*": {} });
    const messages = [request("resources/read", { uri: "file:///a" }), request("resources/read", { uri: "http://a" })];
    expect(watchCharges(price(messages, TERMS), messages, rules).map(({ watches }) => watches.length)).toEqual([0, 1]);
  });

  test("look at a tool's name alone where the policy says so, and at the whole call for the rest", () => {
    const [a, b] = watchCharges(price([search("a"), search("b")], TERMS), [search("a"), search("b")], RULES);
    expect(a!.watches.map(({ kind }) => kind)).toEqual(["identical", "same-tool", "in-a-row", "taking-turns"]);
    const isSame = a!.watches.map((watch, i) => watch.fingerprint === b!.watches[i]!.fingerprint);
    expect(isSame).toEqual([false, true, false, false]);
  });
});

describe("a plan's terms", () => {
  test("take burst from the rate unless the plan says otherwise, and wait ten seconds", () => {
    expect(resolveTerms("free", { rate: 30 }, { perMinute: 60 })).toMatchObject({ maxWaitMs: 10_000, refuse: "error" });
    expect(TERMS.limits[0]).toMatchObject({ burst: 120, perMinute: 120, slot: "rate" });
    expect(resolveTerms("x", { rate: { perMinute: 10, burst: 50, mode: "observe" } }, { perMinute: 60 }).limits[0]).toMatchObject({
      burst: 50,
      perMinute: 10,
      mode: "observe",
    });
  });

  test("keep state by what a limit is, never by the plan's name", () => {
    const other = resolveTerms("free", { rate: 30, quotas: { perDay: { calls: 100, per: "day" } } }, { perMinute: 60 });
    expect(other.limits.map((limit) => limit.slot)).toEqual(["rate", "quota:day", "handshake"]);
    expect(TERMS.limits.map((limit) => limit.slot)).toEqual(["rate", "quota:day", "quota:3600000", "handshake"]);
  });

  test("travel as a text that says the same", () => {
    expect(JSON.parse(TERMS.limitsText)).toEqual(TERMS.limits);
  });
});
