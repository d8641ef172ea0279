import { execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, run, scratch, turnpike } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";

const state = scratch();
let gate: RunningGate;
beforeAll(async () => {
  gate = await startGate({ state });
});
afterAll(() => gate.stop());

/** The processes below a process, as ps tells. */
function descendants(pid: number): string[] {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid="])
    .toString()
    .trim()
    .split("\n")
    .map((row) => row.trim().split(/\s+/));
  const below = (parent: string): string[] => {
    const children = rows.filter(([, of]) => of === parent).map(([child]) => child!);
    return children.concat(children.flatMap(below));
  };
  return below(String(pid));
}

function isAlive(pid: string): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}

/** What starting with the policy's own node says of this part of the policy. */
async function ownNodeTold(lightning: string): Promise<string> {
  const file = join(scratch(), "policy.ts");
  writeFileSync(
    file,
    `import { lightning } from "mcp-turnpike/lightning"; export default { origin: "same-host", plans: { anonymous: { rate: 1 } }, ${lightning} };`,
  );
  return (await turnpike(["start", "--port", "0", "--state", scratch(), "--own-node", "--policy", file])).stderr;
}

/** Ends the gate as Ctrl-C or a supervisor does: whatever it started is gone, and it says that all is well. */
async function expectToStop(signal: "SIGTERM" | "SIGINT"): Promise<void> {
  const processes = descendants(gate.pid);
  expect(processes.length).toBeGreaterThan(0);
  process.kill(gate.pid, signal);
  expect(await gate.stop()).toBe(0);
  expect(processes.filter(isAlive)).toEqual([]);
  await expect(fetch(gate.url)).rejects.toThrow();
}

describe("turnpike start", () => {
  test("prints one line of JSON with the endpoint and a key for each plan", () => {
    expect(gate.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
    expect(Object.keys(gate.keys)).toEqual(["free", "pro", "enterprise"]);
    for (const key of Object.values(gate.keys)) expect(key).toMatch(/^tp_[\w-]{43}$/);
  });

  test("does not start twice on one state folder", async () => {
    const ended = await turnpike(["start", "--port", "0", "--state", state]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("a gate is already running on the state folder");
  });

  test("stops everything that it started on SIGTERM; the next start has the same keys, and what was made of them", async () => {
    const listed = JSON.parse((await turnpike(["keys", "list", "--json", "--state", state])).stdout) as {
      keyId: string;
      record: { plan: string };
    }[];
    const free = listed.find((stored) => stored.record.plan === "free")!;
    await turnpike(["keys", "set-plan", free.keyId, "pro", "--state", state]);
    const { keys } = gate;
    await expectToStop("SIGTERM");

    gate = await startGate({ state });
    expect(gate.keys).toEqual(keys);
    const answer = await fetch(gate.url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", "x-api-key": keys["free"]! },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "current_time", arguments: {} } }),
    });
    expect(answer.headers.get("ratelimit-policy")).toBe('"pro";q=120;w=60');
    await answer.text();
  });

  test("stops everything that it started on SIGINT", () => expectToStop("SIGINT"));

  test("prints lines to paste that work: a call that is answered, and a loop that is stopped", async () => {
    const port = await freePort();
    const child = spawn(process.execPath, ["src/cli/main.ts", "start", "--port", String(port), "--state", scratch()]);
    let printed = "";
    await new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed.includes("Ctrl-C")) resolve();
      });
    });
    try {
      const lines = printed.split("\n").map((line) => line.trim());
      const call = lines.find((line) => line.startsWith("curl -si"))!;
      const loop = lines.find((line) => line.startsWith("for i in"))!;
      expect((await run("bash", ["-c", call])).stdout).toContain("HTTP/1.1 200 OK");
      const statuses = (await run("bash", ["-c", loop])).stdout.trim().split("\n");
      // One was spent by the call before.
      expect(statuses).toEqual([...Array<string>(9).fill("200"), "429", "429", "429"]);
      expect(printed).toContain(`http://127.0.0.1:${port}/mcp`);
      expect(printed).toContain("mcpServers");
    } finally {
      child.kill("SIGTERM");
    }
  });

  test("says in one line that the port is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const ended = await turnpike(["start", "--port", String(port), "--state", scratch()]);
    server.close();
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim()).toBe(`turnpike: port ${port} on 127.0.0.1 is in use. Choose another with --port, or --port 0 for any.`);
  });

  test("says in one line that the origin does not answer", async () => {
    const port = await freePort();
    const ended = await turnpike(["start", "--port", "0", "--state", scratch(), "--origin", `http://127.0.0.1:${port}/mcp`]);
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim()).toBe(
      `turnpike: the origin http://127.0.0.1:${port}/mcp does not answer (ECONNREFUSED). Is the MCP server running?`,
    );
  });

  test("tells everything that is wrong with a policy, each with its path", async () => {
    const file = join(scratch(), "policy.ts");
    writeFileSync(
      file,
      `export default {
        origin: "ftp://example.com",
        plans: { free: { rate: 0 }, pro: { rate: 120, quotas: { day: { calls: 10, per: "fortnight" } } } },
        identity: { addresses: { plan: "guest" } },
        reapeats: {},
      };`,
    );
    const ended = await turnpike(["start", "--port", "0", "--state", scratch(), "--policy", file]);
    expect(ended.code).toBe(1);
    for (const path of ["origin:", "plans.free.rate", "plans.pro.quotas.day.per:", "identity.addresses.plan:", "reapeats:"]) {
      expect(ended.stderr).toContain(path);
    }
    expect(ended.stderr).toContain("there are: free, pro");
    expect(ended.stderr).not.toContain("    at ");
  });

  test.each([
    ["does not exist", null, /does not exist/],
    ["is no TypeScript", "export default {", /policy\.ts:1/],
    ["throws", "throw new Error('no such luck');", /fails when it is run: no such luck/],
    ["exports nothing", "export const policy = {};", /no default export/],
  ])("says what is wrong with a policy file that %s", async (_what, text, expected) => {
    const file = join(scratch(), "policy.ts");
    if (text !== null) writeFileSync(file, text);
    const ended = await turnpike(["start", "--port", "0", "--state", scratch(), "--policy", file]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(expected);
    expect(ended.stderr).not.toContain("    at ");
  });

  test("says what the policy's own Lightning node still needs", async () => {
    expect(await ownNodeTold("")).toContain("the policy names no node. Name one under `lightning`");
    expect(await ownNodeTold(`lightning: lightning({ kind: "lnd", url: "https://node.example.com" })`)).toContain(
      "environment variable LIGHTNING_SECRET",
    );
    expect(await ownNodeTold(`lightning: { kind: "lnd", url: "https://node.example.com" }`)).toContain(
      'lightning: must be made by lightning({ … }), which is imported from "mcp-turnpike/lightning"',
    );
    expect(await ownNodeTold(`lightning: lightning({ kind: "cln", url: "http://node.example.com" })`)).toMatch(
      /lightning\.kind: [\s\S]*lightning\.url: must be an https URL: the node's credential travels with every request/,
    );
  });

  test("explains itself with --help, and unknown options", async () => {
    const help = await turnpike(["start", "--help"]);
    expect(help.code).toBe(0);
    for (const option of ["--origin", "--port", "--state", "--policy", "--own-node", "--json"]) expect(help.stdout).toContain(option);
    const unknown = await turnpike(["start", "--prot", "1"]);
    expect(unknown.code).not.toBe(0);
    expect(unknown.stderr).toContain("--prot");
  });
});
