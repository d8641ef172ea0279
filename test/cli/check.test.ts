import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PolicyReport } from "../../src/cli/check/policy-report.ts";
import type { RequestReport } from "../../src/cli/check/request-report.ts";
import { type Ended, REPO, run, scratch, turnpike } from "../support/command.ts";

const dir = scratch();

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

function request(json: unknown): string {
  return file(`request-${next++}.json`, typeof json === "string" ? json : JSON.stringify(json));
}
let next = 0;

const POLICY = file(
  "policy.ts",
  `import { definePolicy } from "mcp-turnpike";
  export default definePolicy({
    origin: "https://mcp.example.com/mcp",
    plans: {
      anonymous: { rate: 10, maxWaitSeconds: 5 },
      free: {
        rate: { perMinute: 60, burst: 5 },
        quotas: { day: { calls: 1000, per: "day" }, hour: { calls: 3, per: "1h", mode: "observe" } },
        concurrency: 3,
        tools: { search: { rate: 2 } },
        offers: { pow: { difficulty: 16, calls: 5, seconds: 120 }, quotas: true },
      },
      partners: { rate: 600, refuse: "result", weight: 3, concurrency: { calls: 1, mode: "observe" }, maxWaitSeconds: 0 },
    },
    tools: {
      search: { cost: 2 },
      "export_*": { cost: 50, quotas: { daily: { calls: 4, per: "day" } }, label: "exports" },
      "export_x*": { cost: 1 },
      many: { cost: ({ ids }) => ids.length },
    },
    resources: { "file://*": { cost: 0 } },
    limitsFor: () => undefined,
    identity: {
      jwt: [{ issuer: "https://login.example.com/", planClaim: "plan", plan: "free" }],
      addresses: { shared: [{ range: "192.0.2.0/24", plan: "partners" }] },
    },
    repeats: {
      sameTool: { calls: 50, withinSeconds: 60, mode: "observe" },
      tools: { "get_*": false, "get_job_*": { identical: 60 }, search: { identical: 2, inARow: { calls: 5, withinSeconds: 600 } } },
    },
    originQuota: { calls: 5000, per: "1h" },
  });`,
);

const call = (name: string, args: Record<string, unknown> = {}, id = 1) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args },
});

async function check(...args: string[]): Promise<string> {
  const ended = await turnpike(["check", "--policy", POLICY, ...args]);
  expect(ended.stderr).toBe("");
  expect(ended.code).toBe(0);
  return ended.stdout;
}

async function priced(json: unknown, ...args: string[]): Promise<RequestReport> {
  return JSON.parse(await check("--request", request(json), "--json", ...args)) as RequestReport;
}

/** The lines under a title, white space made one. */
function section(text: string, title: string): string[] {
  const found = text
    .trimEnd()
    .split("\n\n")
    .find((part) => part.startsWith(title));
  expect(found, `${title} in\n${text}`).toBeDefined();
  return found!
    .split("\n")
    .slice(1)
    .map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
}

describe("turnpike check", () => {
  test("says in words what each plan means", async () => {
    const text = await check();
    expect(text).toContain("has no errors. 3 plans in front of https://mcp.example.com/mcp.");
    expect(section(text, "PLAN anonymous")).toEqual(
      expect.arrayContaining([
        "rate | 10 at once, refilled at 10 a minute: up to 20 in the first minute",
        "at once | not limited",
        "streams | 16 open at once",
        "held | for up to 5 seconds",
        "refused | with an error, status 429",
        "offers | none: whoever is over the rate waits",
      ]),
    );
    expect(section(text, "PLAN free")).toEqual(
      expect.arrayContaining([
        'for | tokens of https://login.example.com/ that name no plan; tokens of https://login.example.com/ whose claim "plan" names it; keys that are put on it',
        "rate | 5 at once, refilled at 60 a minute: up to 65 in the first minute",
        "quota day | 1000 calls a day (UTC): counted anew at midnight UTC, so right before and after that up to 2000 together",
        "quota hour | 3 calls in any 60 minutes: the window slides, so never more in any such time (observe: counted and logged, nothing is refused)",
        "at once | 3 calls at once; the next wait for their turn, for up to 10 seconds",
        "held | for up to 5 seconds, in which an empty bucket is full again",
        "refused | with an error, status 402 with an offer, 429 without",
        "offers | a proof of work of 16 bits, up to 22 for who keeps solving: 5 calls for 2 minutes, let through at a rate of their own that is the plan's again; also when a quota is used up",
        'tools "search" | costs 2',
        'and "search" of its own: 2 at once, refilled at 2 a minute: up to 4 in the first minute',
        'tools "export_*" | costs 50, which can never pass (400): 5 calls at once, refilled at 60 a minute',
        'and "exports.daily" of its own: 4 calls a day (UTC): counted anew at midnight UTC, so right before and after that up to 8 together',
        'tools "many" | what it costs depends on the arguments',
        'resources "file://*" | costs 0',
      ]),
    );
    expect(section(text, "PLAN partners")).toEqual(
      expect.arrayContaining([
        expect.stringContaining("for | addresses in 192.0.2.0/24;"),
        "at once | 1 call at once (observe: counted and logged, nothing is refused)",
        "held | not at all: what is not there at once is refused",
        "refused | a tools/call with a tool result, status 200; the rest with an error, status 429",
        "weight | 3, beside other plans in sharing out the origin's own quota",
      ]),
    );
  });

  test("says what holds on every plan, and what is hardly meant", async () => {
    const text = await check();
    expect(section(text, "EVERY PLAN")).toEqual(
      expect.arrayContaining([
        "no key | is on plan anonymous, or on that of a range",
        expect.stringMatching(/^limitsFor \|/),
        "handshake | of a key or token: 60 at once, refilled at 60 a minute: up to 120 in the first minute",
        "of an address: 300 at once, refilled at 300 a minute: up to 600 in the first minute",
        "loops | 10 identical calls within 60 seconds; the next is refused",
        "50 calls of one name within 60 seconds, whatever the arguments; the next is logged as one to refuse, and passes",
        'loops of "get_*" | are not looked for',
        'loops of "search" | 2 identical calls within 60 seconds; the next is refused',
        "5 identical calls in a row within 10 minutes, with no other in between; the next is refused",
        expect.stringContaining("origin's quota | 5000 calls in any 60 minutes"),
        "cannot count | when a consumer's object cannot be asked, keys pass at a tenth of their plan, others are answered 503",
      ]),
    );
    expect(section(text, "WORTH A LOOK")).toEqual([
      'repeats.tools.get_job_*: never applies, for "get_*" stands before it and matches all that it does',
      'tools.export_*: costs 50 on plan "anonymous", which can never pass at once (10 calls a minute)',
      'tools.export_x*: never applies, for "export_*" stands before it and matches all that it does',
      'tools.export_*: costs 50 on plan "free", which can never pass at once (5 calls at once, refilled at 60 a minute)',
    ]);
  });

  test("says what is sold, by which node, and what is not sold for want of one", async () => {
    const plans = `plans: { anonymous: { rate: 10, offers: { l402: { satsPerCall: 2, calls: 5, days: 7 } } } }`;
    const policy = (more: string): string =>
      file(
        `sells-${next++}.ts`,
        `import { lightning } from "mcp-turnpike/lightning"; export default { origin: "https://mcp.example.com/mcp", ${plans}, ${more} };`,
      );
    const node = `lightning: lightning({ kind: "lnd", url: "https://node.example.com/rest", network: "tb", confirmPayments: true })`;
    const offer =
      "offers | a Lightning payment of 10 sats: 5 calls for 7 days, let through at a rate of their own that is the plan's again";
    const sold = (await turnpike(["check", "--policy", policy(node)])).stdout;
    expect(section(sold, "PLAN anonymous")).toEqual(expect.arrayContaining([offer, expect.stringContaining("status 402 with an offer")]));
    expect(section(sold, "EVERY PLAN")).toContain(
      "lightning | invoices of LND at node.example.com, payable for 15 minutes, on the network tb: play money; a payment counts once the node says that it is settled",
    );
    const unsold = (await turnpike(["check", "--policy", policy("")])).stdout;
    expect(section(unsold, "PLAN anonymous")).toEqual(
      expect.arrayContaining([`${offer} (not yet: the policy names no node under \`lightning\`)`, "refused | with an error, status 429"]),
    );
  });

  test("takes the policy that comes with the gate when none is named, and finds nothing wrong with it", async () => {
    const ended = await turnpike(["check", "--json"]);
    expect(ended.stderr).toBe("");
    const report = JSON.parse(ended.stdout) as PolicyReport;
    expect(report).toMatchObject({ ok: true, addressPlan: "anonymous", hasLimitsFor: false, warnings: [] });
    expect(report.plans.map(({ name, limits: [rate] }) => [name, rate])).toEqual(
      [
        ["anonymous", 10],
        ["free", 30],
        ["pro", 120],
        ["enterprise", 600],
      ].map(([name, perMinute]) => [
        name,
        expect.objectContaining({ kind: "rate", name, burst: perMinute, perMinute, firstMinute: 2 * Number(perMinute), mode: "enforce" }),
      ]),
    );
  });

  test("prints the same as JSON, of one plan when one is named", async () => {
    const lines = (await check("--json", "--plan", "free")).trimEnd().split("\n");
    expect(lines).toHaveLength(1);
    const report = JSON.parse(lines[0]!) as PolicyReport;
    expect(report.plans).toHaveLength(1);
    expect(report.plans[0]).toMatchObject({
      name: "free",
      callers: [
        { kind: "token", issuer: "https://login.example.com/" },
        { kind: "token", issuer: "https://login.example.com/", claim: "plan" },
        { kind: "key" },
      ],
      limits: [
        { kind: "rate", burst: 5, perMinute: 60, firstMinute: 65 },
        { kind: "quota", calls: 1000, per: "day", mode: "enforce" },
        { kind: "quota", calls: 3, perSeconds: 3600, mode: "observe" },
      ],
      concurrency: { kind: "concurrency", calls: 3 },
      streams: { calls: 16 },
      maxWaitSeconds: 10,
      heldSeconds: 5,
      named: [
        { kind: "tools", name: "search", cost: 2, limits: [{ kind: "rate", name: "search", burst: 2 }] },
        { kind: "tools", name: "export_*", cost: 50, neverPasses: ["5 calls at once, refilled at 60 a minute"] },
        { kind: "tools", name: "export_x*", shadowedBy: "export_*" },
        { kind: "tools", name: "many", cost: "depends on the arguments" },
        { kind: "resources", name: "file://*", cost: 0 },
      ],
    });
    expect(report.loopBreaker.named[1]).toEqual({ name: "get_job_*", rules: [], shadowedBy: "get_*" });
    expect(report.originQuota).toMatchObject({ limit: { calls: 5000, perSeconds: 3600 }, of: "shared", learn: true });
  });
});

describe("a policy with errors", () => {
  const bad = file(
    "bad.ts",
    `export default { origin: "ftp://x", plans: { free: { rate: 0, tools: { a: { cost: -1 } } } }, identity: { addresses: { plan: "guest" } }, reapeats: {} };`,
  );
  const paths = ["origin", "plans.free.rate", "plans.free.tools.a.cost", "reapeats", "identity.addresses.plan"];

  test("is told all of them, each with its path, and nothing else", async () => {
    const ended = await turnpike(["check", "--policy", bad, "--request", "/nowhere"]);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toBe("");
    const lines = ended.stderr.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^turnpike: .*bad\.ts: The policy has 5 errors:$/);
    expect(lines.slice(1).map((line) => line.trim().split(":")[0])).toEqual(expect.arrayContaining(paths));
    expect(lines).toHaveLength(6);
  });

  test("is told them as JSON too", async () => {
    const ended = await turnpike(["check", "--policy", bad, "--json"]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe("");
    const { ok, problems } = JSON.parse(ended.stdout) as { ok: boolean; problems: string[] };
    expect(ok).toBe(false);
    expect(new Set(problems.map((problem) => problem.split(":")[0]))).toEqual(new Set(paths));
  });
});

describe("turnpike check --request", () => {
  test("says what a call costs, which limits it falls under, and what would be left of them", async () => {
    const text = await check("--request", request(call("search")), "--plan", "free");
    expect(section(text, "One message")).toEqual([
      'message 1 | tools/call "search", lane "work"',
      'loops: 2 identical calls within 60 seconds; the next is refused, by repeats.tools "search"',
      expect.stringContaining("50 calls of one name within 60 seconds"),
      expect.stringContaining("5 identical calls in a row within 10 minutes"),
    ]);
    expect(section(text, "PLAN free: passes")).toEqual([
      "costs | 2",
      'message 1 | costs 2, by tools "search"; falls under free, day, hour, search',
      "free | 2 taken, 3 of 5 left",
      "day | 2 taken, 998 of 1000 left",
      "hour | 2 taken, 1 of 3 left (observe)",
      "search | 1 taken, 1 of 2 left",
      "free.at-once | 1 taken, 2 of 3 left",
      "origin | 2 taken, 4998 of 5000 left",
      expect.stringMatching(/^headers \| RateLimit-Policy: .*"free";q=5;w=5/),
      expect.stringMatching(/^RateLimit: .*"free";r=3;t=1/),
    ]);
  });

  test("asks the policy's own function what a call costs, and says when it gives nothing", async () => {
    const { plans } = await priced(call("many", { ids: [1, 2, 3] }), "--plan", "anonymous");
    expect(plans).toMatchObject([{ plan: "anonymous", cost: 3, messages: [{ cost: 3, entry: 'tools "many"', isCostMissing: false }] }]);
    const missing = await priced(call("many"));
    for (const plan of missing.plans) expect(plan).toMatchObject({ cost: 1, messages: [{ isCostMissing: true }] });
  });

  test("counts each message of a batch in its own lane, and the batch as a whole", async () => {
    const report = await priced([
      call("search"),
      { jsonrpc: "2.0", method: "notifications/progress" },
      { jsonrpc: "2.0", id: 2, method: "tools/list" },
      { jsonrpc: "2.0", id: 3, method: "resources/read", params: { uri: "file:///etc/motd" } },
    ]);
    expect(report).toMatchObject({ lane: "work", isBatch: true });
    expect(report.messages.map(({ lane }) => lane)).toEqual(["work", "unmetered", "handshake", "work"]);
    const free = report.plans.find(({ plan }) => plan === "free")!;
    expect(free.messages).toEqual([
      { cost: 2, limits: ["free", "day", "hour", "search"], entry: 'tools "search"', isCostMissing: false },
      null,
      { cost: 1, limits: ["handshake"], entry: null, isCostMissing: false },
      { cost: 0, limits: ["free", "day", "hour"], entry: 'resources "file://*"', isCostMissing: false },
    ]);
    expect(Object.fromEntries(free.limits.map(({ limit, takes, remaining }) => [limit.name, [takes, remaining]]))).toMatchObject({
      free: [2, 3],
      handshake: [1, 59],
      search: [1, 1],
      "free.at-once": [2, 1],
    });
  });

  test("says what can never pass, and why", async () => {
    const report = await priced([call("search"), call("other", {}, 2), call("other", { x: 1 }, 3), call("other", { x: 2 }, 4)]);
    const of = (name: string) => report.plans.find(({ plan }) => plan === name)!;
    expect(of("free").refused).toEqual({
      status: 429,
      why: "It takes 4 slots at once, and there are never more than 3. Send it in parts.",
    });
    expect(of("partners")).toMatchObject({ refused: null, observed: ["partners.at-once"] });

    const costly = await priced(call("export_all"));
    expect(costly.plans[0]).toMatchObject({ plan: "anonymous", cost: 50, limits: [], rateLimit: null });
    expect(costly.plans[0]!.refused).toEqual({
      status: 400,
      why: "This request asks for more than can ever pass at once (10 calls a minute). Waiting will not help: ask for less in one call.",
    });
    expect(costly.plans[2]!.refused).toBeNull();

    const loop = await priced([call("search"), call("search", {}, 2), call("search", {}, 3)], "--plan", "partners");
    expect(loop.plans[0]!.refused).toMatchObject({ status: 400, why: expect.stringContaining("loop breaker") as string });
  });

  test("says what limits that only observe would have refused", async () => {
    const report = await priced([call("search"), call("search", { q: 1 }, 2)], "--plan", "free");
    expect(report.plans[0]).toMatchObject({ refused: null, cost: 4, observed: ["hour"] });
  });

  test("counts a stream as a stream, and a notification as nothing", async () => {
    const stream = await priced({ jsonrpc: "2.0", id: 1, method: "subscriptions/listen" }, "--plan", "free");
    expect(stream).toMatchObject({
      lane: "stream",
      plans: [{ cost: 0, limits: [{ limit: { name: "free.streams" }, takes: 1, remaining: 15 }] }],
    });
    const text = await check("--request", request({ jsonrpc: "2.0", method: "notifications/initialized" }), "--plan", "free");
    expect(section(text, "PLAN free: passes")).toEqual(["costs | nothing: no limit of calls counts it"]);
  });

  test("reads a message from stdin", async () => {
    const script = `printf '%s' "$BODY" | ${JSON.stringify(process.execPath)} src/cli/main.ts check --request - --json`;
    const ended: Ended = await run("bash", ["-c", script], { cwd: REPO, env: { BODY: JSON.stringify(call("anything")) } });
    expect(ended.stderr).toBe("");
    expect((JSON.parse(ended.stdout) as RequestReport).plans.map(({ plan, cost }) => [plan, cost])).toEqual([
      ["anonymous", 1],
      ["free", 1],
      ["pro", 1],
      ["enterprise", 1],
    ]);
  });

  const modern = { ...call("search"), params: { name: "search", _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } };
  const mirrored = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "search" };

  test("takes headers that agree with the body, and a body that is a string", async () => {
    const report = await priced({ headers: mirrored, body: JSON.stringify(modern) }, "--plan", "anonymous");
    expect(report.plans).toMatchObject([{ cost: 2, refused: null }]);
  });

  test.each([
    ["headers that contradict the body", { headers: { ...mirrored, "Mcp-Name": "other" }, body: modern }, 400, -32020, /Mcp-Name .*differ/],
    ["headers that are missing", modern, 400, -32020, /MCP-Protocol-Version is missing/],
    ["a type that is not JSON", { headers: { "content-type": "text/plain" }, body: call("x") }, 415, -32600, /application\/json/],
    ["no JSON", "{", 400, -32700, /not valid JSON/],
    ["nothing at all", "", 400, -32700, /not valid JSON/],
    ["a key twice", '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 400, -32600, /"method" stands twice/],
    ["a key twice in a string", { body: '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}' }, 400, -32600, /"id" stands twice/],
    ["an empty batch", [], 400, -32600, /batch is empty/],
    ["too large a body", JSON.stringify(call("x", { text: "x".repeat(4 * 1024 * 1024) })), 413, -32600, /larger than/],
  ])("answers %s with the gate's own error, and ends with 1", async (_what, json, status, code, message) => {
    const ended = await turnpike(["check", "--request", request(json), "--json"]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe("");
    const report = JSON.parse(ended.stdout) as { answer: { error: { message: string } } };
    expect(report).toMatchObject({ ok: false, status, answer: { jsonrpc: "2.0", error: { code } } });
    expect(report.answer.error.message).toMatch(message);
  });

  test("says the gate's own error in one line", async () => {
    const ended = await turnpike(["check", "--request", request("{")]);
    expect(ended).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "turnpike: the gate answers this request with 400 (-32700): The body is not valid JSON. Send one JSON-RPC 2.0 message encoded as UTF-8.\n",
    });
  });

  test.each([
    ["a file that is not there", ["--request", join(dir, "nowhere.json")], "does not exist"],
    ["a folder", ["--request", dir], "cannot be read"],
    ["a plan that is not there", ["--plan", "gold"], 'there is no plan "gold"'],
    ["a member that is unknown", ["--request", request({ header: {}, body: [] })], '"header" is unknown'],
    ["headers that are none", ["--request", request({ headers: [], body: [] })], '"headers" must be an object'],
    ["a header that is no string", ["--request", request({ headers: { accept: 1 }, body: [] })], 'the header "accept" must be a string'],
    ["a header that cannot be sent", ["--request", request({ headers: { "a b": "1" }, body: [] })], '"a b" is no header'],
  ])("says in one line what is wrong with %s", async (_what, args, expected) => {
    const ended = await turnpike(["check", "--policy", POLICY, ...args]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(expected);
    expect(ended.stderr.trimEnd()).not.toContain("\n");
  });

  test("explains itself with --help", async () => {
    const { code, stdout } = await turnpike(["check", "--help"]);
    expect(code).toBe(0);
    for (const option of ["--policy", "--request", "--plan", "--json", "Examples:"]) expect(stdout).toContain(option);
  });
});
