import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_BODY_BYTES, readBody } from "../../src/mcp/body.ts";
import { readPost } from "../../src/mcp/read-post.ts";

/** A body that comes in chunks, with no length told. */
function streamed(chunks: readonly Uint8Array[], onPull: () => void = () => {}): Request {
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      onPull();
      if (next < chunks.length) controller.enqueue(chunks[next++]!);
      else controller.close();
    },
  });
  return new Request("http://gate.test/mcp", { method: "POST", body, duplex: "half" } as RequestInit);
}

function posted(body: BodyInit, headers: Record<string, string> = {}): Request {
  return new Request("http://gate.test/mcp", { method: "POST", body, headers });
}

describe("a body", () => {
  test("is read byte for byte, however it is cut, and its text is what its bytes say", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary", maxLength: 200 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }),
        async (text, cuts) => {
          const bytes = new TextEncoder().encode(text);
          const chunks: Uint8Array[] = [];
          let at = 0;
          for (const cut of cuts) {
            chunks.push(bytes.slice(at, at + cut));
            at += cut;
          }
          chunks.push(bytes.slice(at));
          const body = await readBody(streamed(chunks.filter((chunk) => chunk.length > 0)));
          expect(body.ok).toBe(true);
          if (!body.ok) return;
          expect(Array.from(body.bytes)).toEqual(Array.from(bytes));
          expect(body.text).toBe(new TextDecoder().decode(bytes));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("of exactly the bound is read, one byte more is not", async () => {
    expect(await readBody(posted("x".repeat(100)), 100)).toMatchObject({ ok: true });
    expect(await readBody(streamed([new Uint8Array(60), new Uint8Array(40)]), 100)).toMatchObject({ ok: true });
    expect(await readBody(streamed([new Uint8Array(60), new Uint8Array(41)]), 100)).toMatchObject({ ok: false, problem: "too-large" });
    expect(await readBody(posted("x".repeat(101), { "Content-Length": "101" }), 100)).toMatchObject({ ok: false, problem: "too-large" });
  });

  test("that never ends is cut off shortly after the bound", async () => {
    const endless = Array.from({ length: 1_000 }, () => new Uint8Array(1_024));
    let pulls = 0;
    const body = await readBody(
      streamed(endless, () => pulls++),
      10_240,
    );
    expect(body).toMatchObject({ ok: false, problem: "too-large" });
    expect(body.bytes.length).toBeLessThanOrEqual(11_264);
    expect(pulls).toBeLessThan(20);
  });

  test("that is not UTF-8 is not guessed at", async () => {
    expect(await readBody(posted(new Uint8Array([0x22, 0xff, 0x22])))).toMatchObject({ ok: false, problem: "not-utf8" });
    expect(await readBody(posted(new Uint8Array([0x22, 0xc0, 0xaf, 0x22])))).toMatchObject({ ok: false, problem: "not-utf8" });
    expect(await readBody(posted(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])))).toMatchObject({ ok: false, problem: "not-utf8" });
  });

  test("with a byte order mark is read, and forwarded with it", async () => {
    const body = await readBody(posted("\uFEFF{}"));
    expect(body).toMatchObject({ ok: true, text: "{}" });
    expect(body.bytes.length).toBe(5);
  });

  test("that is missing is an empty one", async () => {
    expect(await readBody(new Request("http://gate.test/mcp", { method: "POST" }))).toMatchObject({ ok: true, text: "" });
  });
});

describe("a POST to an MCP endpoint", () => {
  const json = { "Content-Type": "application/json" };

  test("that is not JSON is told 415, too large 413, not UTF-8 400", async () => {
    expect(await readPost(posted("{}", { "Content-Type": "text/plain" }), undefined)).toMatchObject({ ok: false, bad: { status: 415 } });
    const large = posted("x".repeat(MAX_BODY_BYTES + 1), json);
    expect(await readPost(large, undefined)).toMatchObject({ ok: false, bad: { status: 413 } });
    expect(await readPost(posted(new Uint8Array([255]), json), undefined)).toMatchObject({ ok: false, bad: { status: 400, code: -32700 } });
  });

  test("that is good comes with its envelope and its very bytes", async () => {
    const text = ' {"jsonrpc" : "2.0","id":1,"method":"ping"}\n';
    const post = await readPost(posted(text, json), undefined);
    if (!post.ok) throw new Error(post.bad.message);
    expect(new TextDecoder().decode(post.body)).toBe(text);
    expect(post.envelope).toEqual({ messages: [{ kind: "request", id: 1, method: "ping", params: {} }], isBatch: false });
  });

  test.each([
    ["application/json", true],
    ["Application/JSON; charset=utf-8", true],
    ["application/json ;charset=utf-8", true],
    ["application/jsonp", false],
    ["text/plain", false],
    ["", false],
    ["application/json; charset=utf-16le", false],
  ])("of the type %j is read: %s", async (type, expected) => {
    const post = await readPost(posted('{"jsonrpc":"2.0","id":1,"method":"ping"}', { "Content-Type": type }), undefined);
    if (expected) expect(post.ok).toBe(true);
    else expect(post).toMatchObject({ ok: false, bad: { status: 415 } });
  });

  test("that is compressed is told to come as it is", async () => {
    const request = posted("{}", { ...json, "Content-Encoding": "gzip" });
    expect(await readPost(request, undefined)).toMatchObject({ ok: false, bad: { status: 415 } });
  });
});
