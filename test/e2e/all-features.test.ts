/** With slots, a quota of the origin's, answers that are read and tools of the gate's own, the gate is as transparent as without. */

import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { brotliCompressSync, brotliDecompressSync, createGzip, constants, gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { messageRequest, openRequest, postMessage, send, toolCall } from "../support/http.ts";
import { answerTools, type Origin, startOrigin } from "../support/origin.ts";

const PLENTY = 100_000;
const POLICY = policyText({
  plans: {
    anonymous: { rate: PLENTY, concurrency: 50, streams: 50 },
    single: { rate: PLENTY, concurrency: 1, streams: 1, maxWaitSeconds: 0 },
  },
  tools: { "*": { rate: PLENTY } },
  originQuota: { calls: PLENTY, per: "1h", readAnswers: true },
  ownTools: { prefix: "turnpike_" },
});
/** What an answer may take that does not end, beyond what the gate looks at: far less than any client waits. */
const SOON_MS = 8_000;

let origin: Origin;
let gate: RunningGate;
let calls = 0;
beforeAll(async () => {
  origin = await startOrigin();
  gate = await startGate({ origin: origin.url, policy: POLICY });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});
beforeEach(() => {
  origin.respond = answerTools;
});

const aCall = (headers: Readonly<Record<string, string>> = {}) => messageRequest(toolCall("t", { call: ++calls }), headers);

describe("an answer", () => {
  it.for([
    ["gzip", gzipSync, gunzipSync],
    ["br", brotliCompressSync, brotliDecompressSync],
  ] as const)("stays compressed with %s, and says the same", async ([encoding, compress, decompress]) => {
    const zipped = compress(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { text: "again ".repeat(1_000) } }));
    for (const status of [200, 400]) {
      origin.respond = (_seen, response) =>
        void response.writeHead(status, { "Content-Type": "application/json", "Content-Encoding": encoding }).end(zipped);
      const answer = await send(gate.url, aCall({ "Accept-Encoding": encoding }));
      expect(answer).toMatchObject({ status, headers: { "content-encoding": encoding } });
      // Not always in the same bytes: what passes through the gate's own stream is compressed anew.
      expect(decompress(answer.body).equals(decompress(zipped))).toBe(true);
    }
  });

  it("has its length where the origin told it", async () => {
    const json = JSON.stringify({ jsonrpc: "2.0", id: 1, result: {} });
    for (const status of [200, 400]) {
      origin.respond = (_seen, response) =>
        void response.writeHead(status, { "Content-Type": "application/json", "Content-Length": json.length }).end(json);
      expect(await send(gate.url, aCall())).toMatchObject({ status, text: json, headers: { "content-length": String(json.length) } });
    }
  });

  it("streams when it is compressed: an event is there before the origin sends the next", async () => {
    const arrivals: (() => void)[] = [];
    const stream = async (response: ServerResponse): Promise<void> => {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Content-Encoding": "gzip" });
      const zip = createGzip({ flush: constants.Z_SYNC_FLUSH });
      zip.pipe(response);
      for (let event = 1; event <= 3; event++) {
        const arrived = new Promise<void>((resolve) => arrivals.push(resolve));
        zip.write(`data: {"event":${event}}\n\n`);
        await arrived;
      }
      zip.end();
    };
    origin.respond = (_seen, response) => void stream(response);
    const answer = await openRequest(gate.url, aCall({ "Accept-Encoding": "gzip" })).answered;
    const chunks: Buffer[] = [];
    for await (const chunk of answer) {
      chunks.push(chunk as Buffer);
      const text = gunzipSync(Buffer.concat(chunks), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
      for (const arrived of arrivals.slice(0, text.split("\n\n").length - 1)) arrived();
    }
    expect(gunzipSync(Buffer.concat(chunks)).toString()).toBe('data: {"event":1}\n\ndata: {"event":2}\n\ndata: {"event":3}\n\n');
  });

  it("that is large or binary comes whole", async () => {
    const large = randomBytes(8 * 1024 * 1024);
    for (const [status, type] of [
      [200, "application/json"],
      [200, "text/event-stream"],
      [200, "application/octet-stream"],
      [400, "application/json"],
    ] as const) {
      origin.respond = (_seen, response) => void response.writeHead(status, { "Content-Type": type }).end(large);
      const answer = await send(gate.url, aCall());
      expect(answer.status).toBe(status);
      expect(answer.body.equals(large)).toBe(true);
    }
  });

  it("without a body has none, whatever was asked", async () => {
    for (const status of [204, 304]) {
      origin.respond = (_seen, response) => void response.writeHead(status, { ETag: '"x"' }).end();
      expect(await send(gate.url, aCall())).toMatchObject({ status, text: "", headers: { etag: '"x"' } });
    }
    origin.respond = (_seen, response) => void response.writeHead(429, { "Content-Type": "text/plain", "Content-Length": 5 }).end();
    expect((await send(gate.url, { method: "HEAD", headers: { Authorization: "Bearer upstream-2" } })).text).toBe("");
  });
});

describe("an error of the origin's", () => {
  it.for([400, 403, 503])("with %i whose body never ends reaches the client all the same", { timeout: 3 * SOON_MS }, async (status) => {
    const { key } = await makeKey(gate, "single");
    origin.respond = (seen, response) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.write('{"jsonrpc":"2.0",');
      const trickle = setInterval(() => response.write(" "), 200);
      void seen.ended.then(() => clearInterval(trickle));
    };
    const asked = Date.now();
    const open = openRequest(gate.url, aCall({ "X-API-Key": key }));
    const answer = await open.answered;
    expect(Date.now() - asked).toBeLessThan(SOON_MS);
    expect(answer.statusCode).toBe(status);
    for await (const chunk of answer) {
      expect(String(chunk)).toContain('{"jsonrpc":"2.0",');
      break;
    }
    open.hangUp();
    // The slot that it held is free again.
    origin.respond = answerTools;
    await expect
      .poll(async () => (await send(gate.url, aCall({ "X-API-Key": key }))).status, { timeout: SOON_MS, interval: 200 })
      .toBe(200);
  });

  it(
    "of 429 without a time whose body never ends becomes the gate's own answer, and the origin is let go",
    { timeout: 3 * SOON_MS },
    async () => {
      const { key } = await makeKey(gate, "single");
      origin.respond = (_seen, response) => {
        response.writeHead(429, { "Content-Type": "text/plain" });
        response.write("slow down");
      };
      const [seen, answer] = await Promise.all([
        origin.next(),
        send(gate.url, aCall({ "X-API-Key": key, Authorization: "Bearer upstream-1" })),
      ]);
      expect(answer.status).toBe(429);
      expect(answer.text).toContain('"limiter":"origin"');
      expect(await seen.ended).toBe("broken off");
    },
  );

  it("that breaks off half-way breaks off for the client, and its slot is free again", async () => {
    const { key } = await makeKey(gate, "single");
    for (const status of [200, 400, 503]) {
      origin.respond = (_seen, response) => {
        response.writeHead(status, { "Content-Type": "application/json", "Content-Length": 1_000 });
        response.write("{");
        setTimeout(() => response.destroy(), 100);
      };
      await expect(send(gate.url, aCall({ "X-API-Key": key })).then(({ text }) => text)).rejects.toThrow();
      origin.respond = answerTools;
      await expect
        .poll(async () => (await send(gate.url, aCall({ "X-API-Key": key }))).status, { timeout: SOON_MS, interval: 200 })
        .toBe(200);
    }
  });
});

describe("a GET", () => {
  it("that the origin answers with 405 at once leaves its slot", async () => {
    const { key } = await makeKey(gate, "single");
    origin.respond = (_seen, response) => void response.writeHead(405, { Allow: "POST" }).end();
    for (let i = 0; i < 5; i++) {
      expect((await send(gate.url, { headers: { Accept: "text/event-stream", "X-API-Key": key } })).status).toBe(405);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });

  it("that the origin refuses for a limit of its streams closes it for no call", async () => {
    origin.respond = (_seen, response) => void response.writeHead(429, { "Retry-After": "30" }).end();
    expect((await send(gate.url, { headers: { Accept: "text/event-stream" } })).status).toBe(429);
    origin.respond = answerTools;
    expect((await send(gate.url, aCall())).status).toBe(200);
  });

  it("of HTTP+SSE of 2024-11-05 keeps its stream, and none of its POSTs waits for it", async () => {
    const { key } = await makeKey(gate, "single");
    const at = (path: string) => new URL(path, gate.url).href;
    origin.respond = (seen, response) => {
      if (seen.method === "POST") return void response.writeHead(202).end();
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("event: endpoint\ndata: /messages?sessionId=1\n\n");
    };
    const open = openRequest(at("/sse"), { headers: { Accept: "text/event-stream", "X-API-Key": key } });
    expect((await open.answered).statusCode).toBe(200);
    for (let i = 0; i < 5; i++) {
      const answer = await postMessage(at("/messages?sessionId=1"), toolCall("t", { call: ++calls }), { "X-API-Key": key });
      expect(answer.status).toBe(202);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((await send(at("/sse"), { headers: { "X-API-Key": key } })).status).toBe(429);
    open.hangUp();
  });
});
