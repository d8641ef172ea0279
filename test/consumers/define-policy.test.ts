import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { definePolicy, PolicyError, type Policy } from "../../src/define-policy.ts";
import { resolveTerms } from "../../src/limits/terms.ts";
import { resolvePolicy } from "../../src/resolve-policy.ts";
import { findLightningProblems, type Lightning, type LightningPolicy, resolveLightning } from "../../src/selling/lightning-policy.ts";

const GOOD = definePolicy({
  origin: "https://mcp.example.com/mcp",
  plans: { anonymous: { rate: 10 }, pro: { rate: { perMinute: 60, burst: 90 } } },
});

function problemsOf(policy: unknown): readonly string[] {
  try {
    resolvePolicy(policy as Policy);
  } catch (error) {
    if (error instanceof PolicyError) return error.problems;
    throw error;
  }
  return [];
}

/** The path that a problem begins with. */
function pathsOf(policy: unknown): string[] {
  return problemsOf(policy).map((problem) => problem.slice(0, problem.indexOf(": ")));
}

describe("a policy", () => {
  test("that is good has every default filled in", () => {
    const resolved = resolvePolicy(GOOD);
    expect(resolved).toMatchObject({
      addressPlan: "anonymous",
      handshakePerMinute: { key: 60, address: 300 },
      whenUnavailable: { keys: "open", others: "closed" },
      mcpPaths: ["/mcp", "/sse", "/message", "/messages"],
      prefix: "/turnpike",
      allowedHosts: null,
    });
    expect(resolved.watches.general).toEqual({ identical: { calls: 10, windowMs: 60_000, mode: "enforce" } });
  });

  test("that is wrong in many places is told all of them together, each with its path", () => {
    const wrong = {
      origin: "ftp://mcp.example.com",
      plans: {
        anonymous: { rate: 0 },
        pro: { rate: { perMinute: 60, brust: 90 }, quotas: { daily: { calls: 5, per: "fortnight" } }, maxWaitSeconds: 31 },
      },
      identity: {
        jwt: [{ issuer: "https://issuer.example", jwksUrl: "nowhere", plan: "gold" }],
        bearer: { plan: "bronze", rate: 7 },
        addresses: { plan: "none", shared: [{ range: "192.0.2.0/33", plan: "silver" }] },
      },
      repeats: { identical: 0, tools: { "get_*": true } },
      mcpPaths: ["mcp"],
      allowedOrigins: ["https://app.example.com/"],
      whenUnavailable: { keys: "ajar" },
      limits: 7,
    };
    expect(pathsOf(wrong).toSorted()).toEqual(
      [
        "allowedOrigins.0",
        "identity.addresses.plan",
        "identity.addresses.shared.0.plan",
        "identity.addresses.shared.0.range",
        "identity.bearer.plan",
        "identity.bearer.rate",
        "identity.jwt.0.jwksUrl",
        "identity.jwt.0.plan",
        "limits",
        "mcpPaths.0",
        "origin",
        "plans.anonymous.rate",
        "plans.pro.maxWaitSeconds",
        "plans.pro.quotas.daily.per",
        "plans.pro.rate",
        "repeats.identical",
        "repeats.tools.get_*",
        "whenUnavailable.keys",
      ].toSorted(),
    );
    expect(() => resolvePolicy(wrong as unknown as Policy)).toThrow("The policy has 18 errors:\n  ");
  });

  test("that names a plan which is not there is told which there are", () => {
    expect(problemsOf({ ...GOOD, plans: { pro: { rate: 1 } } })).toEqual([
      'identity.addresses.plan: there is no plan "anonymous" (there are: pro)',
    ]);
    expect(problemsOf({ ...GOOD, plans: { pro: { rate: 1 } }, identity: { addresses: { plan: null } } })).toEqual([]);
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", "policy"],
    ["a list", []],
    ["no plans", { origin: "same-host" }],
    ["an empty set of plans", { origin: "same-host", plans: {}, identity: { addresses: { plan: null } } }],
    ["a plan that is null", { ...GOOD, plans: { anonymous: null } }],
    ["issuers that are no list", { ...GOOD, identity: { jwt: { issuer: "https://issuer.example", plan: "pro" } } }],
    ["an issuer that is null", { ...GOOD, identity: { jwt: [null] } }],
    ["bearers without a plan", { ...GOOD, identity: { bearer: {} } }],
    ["bearers that are a text", { ...GOOD, identity: { bearer: "pro" } }],
    ["shared ranges that are a text", { ...GOOD, identity: { addresses: { shared: "192.0.2.0/24" } } }],
    ["a shared range that is null", { ...GOOD, identity: { addresses: { shared: [null] } } }],
    ["repeats that are null", { ...GOOD, repeats: null }],
  ])("that is %s is told so as a policy error, not as a crash", (_what, policy) => {
    expect(problemsOf(policy).length).toBeGreaterThan(0);
  });

  test("of any other shape is told so as a policy error, or is good", () => {
    const anything = fc.anything({ maxDepth: 3 });
    const identity = fc.record(
      { jwt: anything, bearer: anything, addresses: fc.record({ plan: anything, shared: anything }, { requiredKeys: [] }) },
      { requiredKeys: [] },
    );
    const fields = fc.record(
      {
        origin: anything,
        plans: anything,
        identity: fc.oneof(anything, identity),
        repeats: anything,
        mcpPaths: anything,
        allowedOrigins: anything,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fields, (changes) => {
        expect(Array.isArray(problemsOf({ ...GOOD, ...changes }))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

/** As lightning() makes it, but for the shop, which only a Worker can open. */
function madeOf(policy: LightningPolicy): Lightning {
  const findProblems = (): string[] => findLightningProblems(policy);
  return { policy, terms: resolveLightning(policy), findProblems, openShop: () => null };
}

describe("a policy that sells", () => {
  const node = { kind: "lnbits", url: "https://node.example" } as const;
  const selling = (l402: unknown, named: object = node) => ({
    ...GOOD,
    plans: { anonymous: { rate: 10, offers: { l402 } } },
    lightning: madeOf(named as LightningPolicy),
  });

  test("has every default filled in: ten calls for 30 sats that last a month, invoices for a quarter of an hour", () => {
    const resolved = resolvePolicy(selling(true) as Policy);
    expect(resolved.lightning?.terms).toEqual({ node: { ...node, network: "bc" }, invoiceSeconds: 900, confirmsPayments: false });
    expect(resolveTerms("x", { rate: 10, offers: { l402: true } }, { perMinute: 60 }).offers.l402).toEqual({
      satsPerCall: 3,
      calls: 10,
      lifeMs: 30 * 86_400_000,
    });
    for (const offers of [{}, { l402: false }, { pow: true }]) {
      expect(resolveTerms("x", { rate: 10, offers }, { perMinute: 60 }).offers.l402).toBeNull();
    }
    expect(resolvePolicy(GOOD).lightning).toBeNull();
  });

  test.each([[{ kind: "lnbits", url: "https://node.example" }], [true], ["phoenixd"], [{ openShop: true }]])(
    "by %o, which lightning() has not made, is told how to name a node",
    (named) => {
      expect(problemsOf({ ...GOOD, lightning: named })).toEqual([
        'lightning: must be made by lightning({ … }), which is imported from "mcp-turnpike/lightning"',
      ]);
    },
  );

  test("keeps what it says", () => {
    expect(resolveTerms("x", { rate: 10, offers: { l402: { satsPerCall: 7, calls: 1, days: 2 } } }, { perMinute: 60 }).offers.l402).toEqual(
      {
        satsPerCall: 7,
        calls: 1,
        lifeMs: 2 * 86_400_000,
      },
    );
    const said = { ...node, network: "bcrt", invoiceSeconds: 300, confirmPayments: true } as const;
    expect(resolvePolicy(selling(true, said) as Policy).lightning?.terms).toEqual({
      node: { ...node, network: "bcrt" },
      invoiceSeconds: 300,
      confirmsPayments: true,
    });
  });

  test.each([
    [{ satsPerCall: 0 }],
    [{ satsPerCall: 10_000_001 }],
    [{ calls: 0 }],
    [{ calls: 1.5 }],
    [{ days: 366 }],
    [{ satsPerCall: 1_000_001, calls: 10 }],
    [{ sats: 3 }],
    ["yes"],
  ])("for %o is told that it cannot", (l402) => {
    expect(pathsOf(selling(l402))).not.toEqual([]);
  });

  test.each([
    ["http://node.example"],
    ["http://10.0.0.1:8080"],
    ["http://localhost.example"],
    ["node.example"],
    ["ftp://node.example"],
    [""],
  ])("does not send its node's credential to %s", (url) => {
    expect(problemsOf(selling(true, { ...node, url }))).toEqual([
      "lightning.url: must be an https URL: the node's credential travels with every request",
    ]);
  });

  test.each([["http://127.0.0.1:9740"], ["http://localhost:9740"], ["http://[::1]:9740"], ["https://node.example/lnd/"]])(
    "may have its node at %s",
    (url) => {
      expect(problemsOf(selling(true, { ...node, url }))).toEqual([]);
    },
  );

  test.each([
    ["an invoice that lives too shortly", { invoiceSeconds: 299 }, "lightning.invoiceSeconds"],
    ["an invoice that lives too long", { invoiceSeconds: 86_401 }, "lightning.invoiceSeconds"],
    ["a node of an unknown kind", { kind: "cln" }, "lightning.kind"],
    ["a network that BOLT11 does not name", { network: "regtest" }, "lightning.network"],
    ["the secret", { secret: "of-the-node" }, "lightning.secret"],
  ])("with %s is told where", (_what, change, path) => {
    expect(pathsOf(selling(true, { ...node, ...change }))).toEqual([path]);
  });
});
