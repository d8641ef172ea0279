/** The transport of 2024-11-05: a GET stream at /sse that names where to POST, and POSTs that are answered on the stream. */

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Everything, startEverything } from "../support/everything.ts";
import { type RunningGate, startGate } from "../support/gate.ts";

let origin: Everything;
let gate: RunningGate;
beforeAll(async () => {
  origin = await startEverything("sse");
  gate = await startGate({ origin: new URL("/", origin.url).href });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});

test("a client of the HTTP+SSE transport lists, calls and hears progress through the gate", async () => {
  const key = gate.keys["free"]!;
  const withKey: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("X-API-Key", key);
    return fetch(input, { ...init, headers });
  };
  const client = new Client({ name: "http-sse", version: "1.0.0" });
  await client.connect(new SSEClientTransport(new URL("/sse", gate.url), { fetch: withKey, eventSourceInit: { fetch: withKey } }));
  try {
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toContain("echo");
    const answer = await client.callTool({ name: "echo", arguments: { message: "hello" } });
    expect(answer.content).toEqual([{ type: "text", text: "Echo: hello" }]);
    const progress: number[] = [];
    await client.callTool({ name: "trigger-long-running-operation", arguments: { duration: 1, steps: 3 } }, undefined, {
      onprogress: (step) => progress.push(step.progress),
    });
    // The last one comes together with the answer, and the SDK may drop it.
    expect(progress.slice(0, 2)).toEqual([1, 2]);
  } finally {
    await client.close();
  }
});
