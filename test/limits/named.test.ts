import { describe, expect, test } from "vitest";
import { findProblems } from "../../src/check-policy.ts";
import type { Policy } from "../../src/define-policy.ts";
import { createAccount } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { costOf, maskOf, price, watchCharges } from "../../src/limits/price.ts";
import { limitsIn, resolveTerms } from "../../src/limits/terms.ts";
import { createWatchRules } from "../../src/limits/watches.ts";
import type { Message } from "../../src/mcp/message.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const HANDSHAKE = { perMinute: 60 };
const TERMS = resolveTerms(
  "pro",
  { rate: 180, tools: { search: { rate: 30 }, "export_*": { cost: 50, quotas: { daily: { calls: 2, per: "day" } } } } },
  HANDSHAKE,
  {
    tools: {
      search: { cost: 3 },
      read: { cost: 0 },
      "*_many": { cost: ({ ids }) => (Array.isArray(ids) ? ids.length : 1) },
      broken: { cost: () => 1.5 },
      "takes_*": {
        cost: (args) => {
          const ids = args["ids"] as unknown[];
          let cost = 0;
          while (ids.pop() !== undefined) cost++;
          return cost;
        },
      },
      nan: { cost: () => Number.NaN },
      negative: { cost: () => -1 },
      async: { cost: (async () => Promise.reject(new Error("bad policy"))) as unknown as () => number },
      throwing: {
        cost: () => {
          throw new Error("bad policy");
        },
      },
    },
    prompts: { search: { cost: 7 } },
    resources: { "file://*": { rate: { perMinute: 6, burst: 2 }, label: "files" } },
  },
);

function request(method: string, params: Record<string, unknown> = {}): Message {
  return { kind: "request", id: 1, method, params };
}

const call = (name: string, args: Record<string, unknown> = {}): Message => request("tools/call", { name, arguments: args });

function names(messages: readonly Message[]): string[] {
  const priced = price(messages, TERMS);
  return limitsIn(priced.set!, maskOf(priced)).map((limit) => limit.name);
}

describe("the price of a name", () => {
  test.each([
    ["a tool that nothing is said of", call("other"), 1, ["pro"]],
    ["a tool with limits in the plan and a cost for every plan", call("search"), 3, ["pro", "search"]],
    ["a tool by pattern", call("export_csv"), 50, ["pro", "export_*.daily"]],
    ["a tool whose cost depends on the call", call("read_many", { ids: [1, 2, 3, 4] }), 4, ["pro"]],
    ["a tool that costs nothing", call("read"), 0, ["pro"]],
    ["a prompt of a tool's name", request("prompts/get", { name: "search" }), 7, ["pro"]],
    ["a resource by its URI", request("resources/read", { uri: "file:///etc/motd" }), 1, ["pro", "files"]],
    ["a list", request("tools/list"), 1, ["handshake"]],
  ])("%s", (_what, message, cost, limits) => {
    expect(costOf(price([message], TERMS))).toBe(cost);
    expect(names([message])).toEqual(limits);
  });

  test.each(["broken", "throwing"])("is 1 where the policy's own function gives none (%s), and the operator is told", (name) => {
    const priced = price([call(name)], TERMS);
    expect(costOf(priced)).toBe(1);
    expect(priced.uncosted).toHaveLength(1);
  });

  test("of a batch falls under the limits of every name in it", () => {
    expect(names([call("search"), request("resources/read", { uri: "file://a" }), request("ping"), call("other")])).toEqual([
      "pro",
      "handshake",
      "search",
      "files",
    ]);
  });

  test("is the same object of limits for the same name, so that a refusal can be remembered", () => {
    expect(price([call("search")], TERMS).set).toBe(price([call("search"), call("search")], TERMS).set);
    expect(price([call("other")], TERMS).set).toBe(TERMS);
  });

  test("cannot be told of a batch with more limits than fit together", () => {
    const tools = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`t${i}`, { rate: 5 }]));
    const wide = resolveTerms("wide", { rate: 60, tools }, HANDSHAKE);
    expect(price([call("t1"), call("t2")], wide).set?.limits).toHaveLength(4);
    expect(
      price(
        Object.keys(tools).map((name) => call(name)),
        wide,
      ).set,
    ).toBeNull();
  });
});

describe("a tool's own limit", () => {
  test("holds beside the plan's, counts calls and not what they cost, and its state outlives a change of plan", () => {
    const account = createAccount(1);
    const priced = price([call("search")], TERMS);
    for (let i = 0; i < 30; i++) expect(ask(account, priced.set!.limits, priced.charges, 0, NOW).kind).toBe("admit");
    expect(ask(account, priced.set!.limits, priced.charges, 0, NOW)).toMatchObject({ kind: "refuse", retryAfterMs: 2_000, violated: 4 });
    const others = price([call("other")], TERMS);
    expect(ask(account, others.set!.limits, others.charges, 0, NOW)).toMatchObject({ kind: "admit", meters: [{ remaining: 180 - 91 }] });
    const free = resolveTerms("free", { rate: 300, tools: { search: { rate: 30 } } }, HANDSHAKE);
    const again = price([call("search")], free);
    expect(ask(account, again.set!.limits, again.charges, 0, NOW)).toMatchObject({ kind: "refuse" });
  });
});

describe("a policy's cost function", () => {
  test("may do what it likes to its arguments: the loop breaker still tells the calls apart", () => {
    const rules = createWatchRules({ identical: { calls: 1, windowMs: 60_000, mode: "enforce" } }, {});
    const [one, other] = [[1, 2, 3], [4]].map((ids) => {
      const messages = [call("takes_all", { ids })];
      const priced = price(messages, TERMS);
      return { cost: costOf(priced), watches: watchCharges(priced, messages, rules)[0]!.watches };
    });
    expect([one!.cost, other!.cost]).toEqual([3, 1]);
    expect(one!.watches).not.toEqual(other!.watches);
  });

  test.each(["nan", "negative", "async"])("that gives no cost (%s) makes the call cost 1, and the operator is told", async (name) => {
    const priced = price([call(name)], TERMS);
    expect({ cost: costOf(priced), uncosted: priced.uncosted.length }).toEqual({ cost: 1, uncosted: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

describe("names that every object has", () => {
  test("are ordinary ones for a caller: nothing is set for them", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", ""]) {
      expect({ name, cost: costOf(price([call(name)], TERMS)), limits: names([call(name)]) }).toEqual({ name, cost: 1, limits: ["pro"] });
    }
  });

  test("can be set, but for those that a policy's check would pass over, which it tells", () => {
    const plans = { anonymous: { rate: 10, tools: { toString: { cost: 5 }, hasOwnProperty: { rate: 3 } } } };
    const policy = { origin: "https://origin.example/mcp", plans };
    expect(findProblems(policy)).toEqual([]);
    const terms = resolveTerms("anonymous", plans.anonymous, HANDSHAKE);
    expect(costOf(price([call("toString")], terms))).toBe(5);
    for (const name of ["constructor", "__proto__"]) {
      const tools = JSON.parse(`{${JSON.stringify(name)}:{"cost":-5}}`) as Record<string, { cost: number }>;
      expect(findProblems({ ...policy, tools })[0]).toMatch(/^tools: cannot have the names/);
      expect(findProblems({ ...policy, repeats: { tools } } as unknown as Policy)[0]).toMatch(/^repeats\.tools: cannot have/);
    }
  });
});
