import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isJsonRpc, stopAtJsonRpc } from "../../src/mcp/elsewhere.ts";
import { anyJson, aRequest, escaped } from "./json.ts";

const encoder = new TextEncoder();

describe("JSON-RPC on a path that is not MCP's", () => {
  test("is noticed in every spelling of the key, alone and anywhere in a batch", () => {
    fc.assert(
      fc.property(aRequest, fc.nat(127), fc.boolean(), fc.array(anyJson, { maxLength: 3 }), (request, spelling, isUpper, others) => {
        const { jsonrpc: _version, ...rest } = request;
        let key = escaped("jsonrpc", spelling);
        // The hexadecimal digits of an escape may be large or small.
        if (isUpper) key = key.replace(/u00[0-9a-f]{2}/g, (escape) => `u00${escape.slice(3).toUpperCase()}`);
        const body = JSON.stringify(rest).slice(1);
        const message = `{ ${key} : "2.0"${body === "}" ? "" : ","}${body}`;
        expect(isJsonRpc(message)).toBe(true);
        expect(isJsonRpc(`[${[...others.map((other) => JSON.stringify(other)), message].join()}]`)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test.each(['{"a":{"jsonrpc":"2.0"}}', '"jsonrpc"', '{"text":"jsonrpc"}', "jsonrpc", '{"jsonrpc":', "", "[]", '[["jsonrpc"]]'])(
    "%j is none",
    (text) => {
      expect(isJsonRpc(text)).toBe(false);
    },
  );
});

/** What gets through, and whether the stream was ended with an error. */
async function pass(chunks: readonly Uint8Array[]): Promise<{ text: string; isStopped: boolean }> {
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const reader = source.pipeThrough(stopAtJsonRpc()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { text, isStopped: false };
      text += Buffer.from(value).toString("latin1");
    }
  } catch {
    return { text, isStopped: true };
  }
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return [...chunks, bytes.slice(at)].filter((chunk) => chunk.length > 0);
}

describe("a body too large to read", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 30 });

  test("is stopped at the key, wherever the chunks are cut and however it is spelled", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(127), fc.string({ maxLength: 60 }), sizes, async (spelling, padding, cuts) => {
        const text = `{"padding":${JSON.stringify(padding)},${escaped("jsonrpc", spelling)}:"2.0","method":"tools/call"}`;
        const { text: passed, isStopped } = await pass(cut(encoder.encode(text), cuts));
        expect(isStopped).toBe(true);
        // The origin is left with half a message, which no parser takes.
        expect(() => JSON.parse(passed) as unknown).toThrow();
        expect(passed).not.toContain("tools/call");
      }),
      { numRuns: 300 },
    );
  });

  test("that mentions nothing of the kind passes byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), sizes, async (bytes, cuts) => {
        const { text, isStopped } = await pass(cut(bytes, cuts));
        expect(isStopped).toBe(false);
        expect(text).toBe(Buffer.from(bytes).toString("latin1"));
      }),
      { numRuns: 200 },
    );
  });
});
