/** Who is let in by which key, and how soon a change of it holds. */

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { changeKey, makeKey, policyText } from "../support/admin.ts";
import { connectAgent, DIALECTS } from "../support/agents.ts";
import { scratch } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { type Answer, errorIn, postMessage, send, toolCall } from "../support/http.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { openRecords } from "../../src/cli/local/run-gate.ts";
import { LocalState } from "../../src/cli/local/state.ts";

const POLICY = policyText(
  {
    plans: {
      anonymous: { rate: 10 },
      small: { rate: 2, maxWaitSeconds: 0 },
      medium: { rate: 30 },
      large: { rate: 1_000 },
      overridden: { rate: 2, maxWaitSeconds: 0 },
    },
  },
  "limitsFor: ({ metadata }) => (typeof metadata.rate === 'number' ? { rate: metadata.rate } : undefined)",
);

let origin: Origin;
let gate: RunningGate;
const state = scratch();
beforeAll(async () => {
  const records = await openRecords(new LocalState(state));
  await records.store.put("plan:overridden", JSON.stringify({ rate: { perMinute: 60, burst: 4 } }));
  await records.store.put("plan:small", JSON.stringify({ rate: "many" }));
  await records.close();
});
beforeAll(async () => {
  origin = await startOrigin();
  gate = await startGate({ origin: origin.url, policy: POLICY, state });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});

let count = 0;
/** Attempts with a key that is not good are charged to the address, and ten a minute are too many. */
function nextAddress(): string {
  count++;
  return `198.51.${count >> 8}.${count & 255}`;
}

function call(key: string): Promise<Answer> {
  return postMessage(gate.url, toolCall("t", { n: ++count }), { Authorization: `Bearer ${key}`, "CF-Connecting-IP": nextAddress() });
}

async function exhaust(key: string): Promise<void> {
  expect((await call(key)).status).toBe(200);
  expect((await call(key)).status).toBe(200);
  expect((await call(key)).status).toBe(429);
}

function guess(address: string, key: string): Promise<Answer> {
  return postMessage(gate.url, toolCall("t"), { "X-API-Key": key, "CF-Connecting-IP": address });
}

describe.concurrent("a key that is not good", () => {
  it.for([
    ["X-API-Key", "nonsense"],
    ["X-API-Key", ""],
    ["X-API-Key", "x".repeat(5_000)],
    ["Authorization", "Bearer tp_nonsense"],
  ] as const)("is answered 401 when nobody has it: %s", async ([header, value]) => {
    const tool = `guessed-${++count}`;
    const answer = await postMessage(gate.url, toolCall(tool), { [header]: value, "CF-Connecting-IP": nextAddress() });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe("Bearer");
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(JSON.parse(answer.text)).toMatchObject({ title: "Unknown API key", status: 401 });
    expect(origin.seen.some((seen) => seen.body.includes(tool))).toBe(false);
  });

  it("is answered 401 when it is disabled or has expired", async () => {
    const expired = await makeKey(gate, "large", { expiresAt: new Date(Date.now() - 1_000).toISOString() });
    expect(JSON.parse((await call(expired.key)).text)).toMatchObject({ title: "API key expired", status: 401 });
    const disabled = await makeKey(gate, "large");
    await changeKey(gate, disabled.keyId, { disabled: true });
    expect(JSON.parse((await call(disabled.key)).text)).toMatchObject({ title: "API key disabled", status: 401 });
  });

  it("expires at its very time, in the middle of its use", async () => {
    const { key } = await makeKey(gate, "large", { expiresAt: new Date(Date.now() + 1_500).toISOString() });
    expect((await call(key)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect((await call(key)).status).toBe(401);
  });

  it("cannot be guessed at any speed: the address is told to wait, and its neighbours are not", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) statuses.push((await guess("203.0.113.7", `guess-${i}`)).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const told = await guess("203.0.113.7", "guess-more");
    expect(Number(told.headers["retry-after"])).toBeGreaterThan(0);
    expect(told.text).toContain("too many such attempts");
    expect((await guess("203.0.113.8", "guess")).status).toBe(401);
    const good = await makeKey(gate, "large");
    expect((await guess("203.0.113.7", good.key)).status).toBe(200);
  });

  it.for(DIALECTS)("keeps %s from connecting, and it says why", async (dialect) => {
    const connecting = connectAgent(dialect, gate.url, { key: "tp_nobodys", headers: { "CF-Connecting-IP": nextAddress() } });
    // A client that probes for the era first tells the status in its own words, and no body.
    const isProbing = dialect === "client-2-auto" || dialect === "client-2-modern";
    await expect(connecting).rejects.toThrow(isProbing ? /requires authorization \(HTTP 401\)/ : /This API key is not known here/);
  });
});

describe.concurrent("a change of a key's record", () => {
  it("to a larger plan holds on the very next call", async () => {
    const { key, keyId } = await makeKey(gate, "small");
    await exhaust(key);
    await changeKey(gate, keyId, { plan: "large" });
    const answer = await call(key);
    expect(answer.status).toBe(200);
    expect(answer.headers["ratelimit-policy"]).toBe('"large";q=1000;w=60');
  });

  it("to a smaller plan holds on the very next call, and what was spent stays spent", async () => {
    const { key, keyId } = await makeKey(gate, "medium");
    for (let i = 0; i < 5; i++) expect((await call(key)).status).toBe(200);
    await changeKey(gate, keyId, { plan: "small" });
    expect((await call(key)).status).toBe(429);
  });

  it("to disabled holds on the very next call", async () => {
    const { key, keyId } = await makeKey(gate, "large");
    expect((await call(key)).status).toBe(200);
    await changeKey(gate, keyId, { disabled: true });
    expect((await call(key)).status).toBe(401);
  });

  it("back from disabled holds on the very next call", async () => {
    const { key, keyId } = await makeKey(gate, "large");
    expect((await call(key)).status).toBe(200);
    await changeKey(gate, keyId, { disabled: true });
    expect((await call(key)).status).toBe(401);
    await changeKey(gate, keyId, { disabled: false });
    expect((await call(key)).status).toBe(200);
  });

  it("of its metadata holds on the very next call, as the policy's function reads it", async () => {
    const { key, keyId } = await makeKey(gate, "small", { metadata: { region: "eu" } });
    await exhaust(key);
    await changeKey(gate, keyId, { metadata: { region: "eu", rate: 40 } });
    const answer = await call(key);
    expect(answer.status).toBe(200);
    expect(answer.headers["ratelimit-policy"]).toBe('"small";q=40;w=60');
  });

  it("holds although many calls were refused a moment ago", async () => {
    const { key, keyId } = await makeKey(gate, "small");
    await exhaust(key);
    const changed = changeKey(gate, keyId, { plan: "large" });
    const state = { isChanged: false };
    void changed.then(() => (state.isChanged = true));
    while (!state.isChanged) await call(key);
    expect((await call(key)).status).toBe(200);
  });

  it("is shared by all keys of an owner where it concerns what is spent, and by none where it concerns the key", async () => {
    const first = await makeKey(gate, "small", { consumer: "two-keys" });
    const second = await makeKey(gate, "small", { consumer: "two-keys" });
    expect((await call(first.key)).status).toBe(200);
    expect((await call(second.key)).status).toBe(200);
    expect((await call(first.key)).status).toBe(429);
    await changeKey(gate, first.keyId, { disabled: true });
    expect((await call(first.key)).status).toBe(401);
    expect((await call(second.key)).status).toBe(429);
  });
});

function adminUrl(): string {
  return new URL("/turnpike/admin/keys", gate.url).href;
}

describe.concurrent("the admin API", () => {
  it("is closed to everybody without its token", async () => {
    for (const headers of [{}, { Authorization: "Bearer wrong" }, { Authorization: "Bearer " }]) {
      expect((await send(adminUrl(), { headers })).status).toBe(401);
    }
    const { key } = await makeKey(gate, "large");
    expect((await send(adminUrl(), { headers: { Authorization: `Bearer ${key}` } })).status).toBe(401);
  });

  it("refuses a plan that the policy does not have, and says which there are", async () => {
    await expect(makeKey(gate, "gold")).rejects.toThrow(
      /400.*There is no plan \\"gold\\" \(there are: anonymous, small, medium, large, overridden\)/,
    );
  });
});

describe.concurrent("an override of a plan in KV", () => {
  it("changes the plan's numbers without a new policy", async () => {
    const { key } = await makeKey(gate, "overridden");
    expect((await call(key)).headers["ratelimit-policy"]).toBe('"overridden";q=4;w=4');
  });

  it("that is not good changes nothing, and the operator is told", async () => {
    const { key } = await makeKey(gate, "small");
    expect((await call(key)).headers["ratelimit-policy"]).toBe('"small";q=2;w=60');
    // A line of the log takes its own way, and may arrive after the answer.
    await vi.waitFor(() => expect(gate.logs.join("\n")).toContain("plan:small in KV"), { timeout: 5_000 });
  });

  it("names a refusal by the plan, and says the overridden numbers", async () => {
    const { key } = await makeKey(gate, "small");
    await exhaust(key);
    expect(errorIn(await call(key)).error.message).toContain('plan "small": 2 calls a minute');
  });
});
