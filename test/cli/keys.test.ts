import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wranglerStore } from "../../src/cli/key-places.ts";
import { createKeyRecord, listKeyRecords } from "../../src/consumers/key-records.ts";
import { REPO, scratch, turnpike } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";

interface Made {
  readonly key: string;
  readonly keyId: string;
}

const state = scratch();
let gate: RunningGate;

let next = 0;
function call(key: string): Promise<Response> {
  return fetch(gate.url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", "x-api-key": key, prefer: "wait=0" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "count_words", arguments: { text: `call ${next++}` } },
    }),
  });
}

async function keys(...args: string[]): Promise<string> {
  const ended = await turnpike(["keys", ...args, "--state", state]);
  expect(ended.stderr).toBe("");
  return ended.stdout;
}

async function make(...args: string[]): Promise<Made> {
  return JSON.parse(await keys("create", "--json", ...args)) as Made;
}

/** Made with no gate running. */
let early: Made;

describe("turnpike keys, with no gate running", () => {
  test("makes, changes and lists keys in the state folder", async () => {
    early = await make("--consumer", "early", "--plan", "free");
    expect(await keys("set-plan", early.keyId, "pro")).toContain("is now on plan pro");
    expect(await keys("list")).toContain(early.keyId.slice(0, 12));
  });
});

describe("turnpike keys, with the gate running", () => {
  beforeAll(async () => {
    gate = await startGate({ state });
  });
  afterAll(async () => {
    await gate.stop();
  });

  test("the gate finds what was made before it was started", async () => {
    const answer = await fetch(gate.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${early.key}`,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "whoami", arguments: {} } }),
    });
    expect(await answer.text()).toContain("turnpike-consumer: key:early");
    expect(answer.headers.get("ratelimit-policy")).toBe('"pro";q=120;w=60');
  });

  test("a key that is made works at once, and is stored nowhere", async () => {
    const made = await make("--consumer", "acme", "--plan", "free", "--name", "laptop");
    const answer = await call(made.key);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("ratelimit-policy")).toBe('"free";q=30;w=60');
    await answer.text();
    const listed = await keys("list");
    expect(listed).toContain("laptop");
    expect(listed).toContain(made.keyId.slice(0, 12));
    expect(listed).not.toContain(made.key);
  });

  test("a change of plan holds on the next call, and what was spent stays spent", async () => {
    const { key, keyId } = await make("--consumer", "raised", "--plan", "free");
    for (let i = 0; i < 30; i++) expect((await call(key)).status).toBe(200);
    expect((await call(key)).status).toBe(402);
    expect(await keys("set-plan", keyId.slice(0, 12), "pro")).toContain("is now on plan pro");
    const answer = await call(key);
    expect(answer.status).toBe(200);
    // 120 less the 31 that were let through, and what has been refilled since.
    const remaining = Number(/r=(\d+)/.exec(answer.headers.get("ratelimit")!)![1]);
    expect(remaining).toBeGreaterThanOrEqual(89);
    expect(remaining).toBeLessThan(120);
  });

  test("two keys of one owner share its limits", async () => {
    const [one, two] = [await make("--consumer", "shared", "--plan", "free"), await make("--consumer", "shared", "--plan", "free")];
    for (let i = 0; i < 15; i++) expect((await call(one.key)).status).toBe(200);
    for (let i = 0; i < 15; i++) expect((await call(two.key)).status).toBe(200);
    expect((await call(one.key)).status).toBe(402);
    expect((await call(two.key)).status).toBe(402);
  });

  test("a disabled key stops on the next call, and works again when it is enabled", async () => {
    const { key, keyId } = await make("--consumer", "leaver", "--plan", "free");
    expect((await call(key)).status).toBe(200);
    await keys("disable", keyId);
    const refused = await call(key);
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await refused.json()).toMatchObject({ title: "API key disabled" });
    await keys("enable", keyId);
    await expect.poll(async () => (await call(key)).status, { timeout: 15_000, interval: 2_000 }).toBe(200);
  });

  test("an expired key is told so", async () => {
    const { key } = await make("--consumer", "late", "--plan", "free", "--expires", "2020-01-01");
    const refused = await call(key);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ title: "API key expired" });
  });

  test.each([
    [["create", "--consumer", "x", "--plan", "gold"], 'There is no plan "gold"'],
    [["create", "--consumer", "x"], "--plan"],
    [["create", "--consumer", "x", "--plan", "free", "--metadata", "[]"], "It must be a JSON object."],
    [["set-plan", "ffffffffffff", "pro"], 'No key\'s id begins with "ffffffffffff"'],
    [["disable", ""], "at least four"],
    [["list", "--remote", "--url", "http://127.0.0.1:1"], "give one of them"],
  ])("keys %j is answered with what is wrong", async (args, expected) => {
    const ended = await turnpike(["keys", ...args, "--state", state]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(expected);
    expect(ended.stderr).not.toContain("    at ");
  });

  test("the admin API wants its token, and says nothing without it", async () => {
    const endpoint = new URL("/turnpike/admin/keys", gate.url);
    for (const headers of [{}, { authorization: "Bearer wrong" }]) {
      const answer = await fetch(endpoint, { headers });
      expect(answer.status).toBe(401);
      expect(await answer.text()).not.toContain("consumer");
    }
  });
});

describe("turnpike keys --remote", () => {
  // Cloudflare cannot be reached from a test: wrangler's own local namespace takes the same commands.
  test("makes and lists records through wrangler", async () => {
    const dir = scratch();
    const config = join(dir, "wrangler.toml");
    writeFileSync(config, `name = "x"\ncompatibility_date = "2026-10-23"\n[[kv_namespaces]]\nbinding = "KEYS"\nid = "keys"\n`);
    const store = wranglerStore(["--local", "--config", config, "--persist-to", join(dir, "data")]);
    const made = await createKeyRecord(store, { consumer: "acme", plan: "free" }, Date.now());
    expect(await listKeyRecords(store)).toEqual([{ keyId: made.keyId, record: made.record }]);
    expect(await store.get("key:none")).toBeNull();
  }, 60_000);

  test("says what to do when wrangler cannot do it", async () => {
    const ended = await turnpike(["keys", "list", "--remote"], {
      CLOUDFLARE_API_TOKEN: "",
      CLOUDFLARE_ACCOUNT_ID: "",
      HOME: scratch(),
      XDG_CONFIG_HOME: scratch(),
    });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("npx wrangler login");
  });
});

test("the repo's own wrangler.toml names the binding that the commands use", async () => {
  const { readFileSync } = await import("node:fs");
  expect(readFileSync(join(REPO, "wrangler.toml"), "utf8")).toContain('binding = "KEYS"');
});
