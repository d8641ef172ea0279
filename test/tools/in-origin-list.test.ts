import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message, RequestId } from "../../src/mcp/message.ts";
import { gateTools } from "../../src/tools/definitions.ts";
import { addOwnTools, isOwnToolCall } from "../../src/tools/in-origin-list.ts";
import { toolEntry } from "../../src/tools/tool.ts";
import { anyJson } from "../mcp/json.ts";
import { madeUpActions } from "./made-up.ts";

const PREFIX = "turnpike_";
const TOOLS = gateTools(madeUpActions(), PREFIX);
const ENTRIES: readonly unknown[] = JSON.parse(JSON.stringify(TOOLS.map((tool) => toolEntry(tool))));
const NAMES = TOOLS.map((tool) => tool.name);
const JSON_TYPE = { "Content-Type": "application/json" };
const STREAM_TYPE = { "Content-Type": "text/event-stream" };

function own(taken: Set<string> = new Set()) {
  return { tools: TOOLS, taken };
}

function request(id: RequestId, method = "tools/list", params: Readonly<Record<string, unknown>> = {}): Message {
  return { kind: "request", id, method, params };
}

function listAnswer(id: RequestId, tools: readonly unknown[] = [{ name: "echo", inputSchema: {} }], more: object = {}) {
  return { jsonrpc: "2.0", id, result: { tools, ...more } };
}

interface ListAnswer {
  readonly result: { readonly tools: readonly unknown[] };
}

/** What the client reads of a JSON answer. */
async function throughJson(body: unknown, messages: readonly Message[] = [request(1)], to = own(), maxBytes?: number): Promise<unknown> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await addOwnTools(new Response(text, { headers: JSON_TYPE }), messages, to, maxBytes);
  return JSON.parse(await response.text());
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  if (at < bytes.length) chunks.push(bytes.slice(at));
  return chunks;
}

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      if (next < chunks.length) controller.enqueue(chunks[next++]!);
      else controller.close();
    },
  });
}

async function throughStream(
  text: string,
  sizes: readonly number[],
  messages = [request(1)],
  to = own(),
  maxBytes?: number,
): Promise<string> {
  const chunks = cut(new TextEncoder().encode(text), sizes);
  const response = await addOwnTools(new Response(streamOf(chunks), { headers: STREAM_TYPE }), messages, to, maxBytes);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await response.arrayBuffer());
}

const someSizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });

describe("a JSON answer to tools/list", () => {
  test("ends with the gate's tools, behind the origin's", async () => {
    expect(await throughJson(listAnswer(1))).toEqual(listAnswer(1, [{ name: "echo", inputSchema: {} }, ...ENTRIES]));
    expect(await throughJson(listAnswer(1, []))).toEqual(listAnswer(1, ENTRIES));
  });

  test("keeps what the modern era puts beside the list", async () => {
    const beside = { resultType: "complete", ttlMs: 60_000, cacheScope: "private", _meta: { "io.modelcontextprotocol/serverInfo": {} } };
    expect(await throughJson(listAnswer("a", [], beside), [request("a")])).toEqual(listAnswer("a", ENTRIES, beside));
  });

  test("is otherwise the origin's to the byte, whatever stands in it and however it is written", async () => {
    const aTool = fc.dictionary(fc.string(), anyJson, { maxKeys: 4 });
    const anAnswer = fc.record({ tools: fc.array(aTool, { maxLength: 4 }), before: anyJson, behind: anyJson, indent: fc.nat({ max: 3 }) });
    await fc.assert(
      fc.asyncProperty(anAnswer, async ({ tools, before, behind, indent }) => {
        const answer = { before, jsonrpc: "2.0", result: { tools: "not this one" }, id: 1, behind };
        const result = { before, tools, behind: { tools: [] } };
        const text = JSON.stringify({ ...answer, result }, null, indent);
        const response = await addOwnTools(new Response(text, { headers: JSON_TYPE }), [request(1)], own());
        const added = await response.text();
        expect(JSON.parse(added)).toEqual(JSON.parse(JSON.stringify({ ...answer, result: { ...result, tools: [...tools, ...ENTRIES] } })));
        // One run of characters more, and nothing else.
        const more = added.length - text.length;
        const at = Array.from({ length: text.length + 1 }, (_, i) => i).find((i) => added.slice(0, i) + added.slice(i + more) === text);
        expect(at).toBeDefined();
      }),
      { numRuns: 100 },
    );
  });

  test("keeps numbers that no double can hold, and odd spellings", async () => {
    const text = `{ "jsonrpc":"2.0","id":1,"result":{"\\u0074ools" : [ {"name":"big","inputSchema":{"maximum":9223372036854775807,"x":"]}\\"["}} ] } }\n`;
    const response = await addOwnTools(new Response(text, { headers: JSON_TYPE }), [request(1)], own());
    const added = await response.text();
    expect(added).toContain('"maximum":9223372036854775807,"x":"]}\\"["}} ,{"name":"turnpike_challenge"');
    expect((JSON.parse(added) as ListAnswer).result.tools).toHaveLength(4);
  });

  test("is added to where a client finds the list: in the last of two keys, and nowhere else", async () => {
    const twice = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{}]},"result":{"tools":[{}],"tools":[],"ttlMs":1},"more":{"tools":[]}}';
    expect(await throughJson(twice)).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: { tools: ENTRIES, ttlMs: 1 },
      more: { tools: [] },
    });
  });

  test("has a true length, and no coding or digest of the old one", async () => {
    const headers = {
      ...JSON_TYPE,
      "Content-Length": "5",
      ETag: '"x"',
      "Repr-Digest": "sha-256=:x:",
      "Mcp-Session-Id": "s",
      "X-More": "y",
    };
    const response = await addOwnTools(new Response(JSON.stringify(listAnswer(1)), { headers }), [request(1)], own());
    expect(response.headers.get("etag")).toBeNull();
    expect(response.headers.get("repr-digest")).toBeNull();
    expect(response.headers.get("mcp-session-id")).toBe("s");
    expect(response.headers.get("x-more")).toBe("y");
    expect(response.headers.get("content-length")).toBe(String((await response.arrayBuffer()).byteLength));
  });

  test("on several pages has them on the last one only", async () => {
    const to = own();
    const first = listAnswer(1, [{ name: "a" }], { nextCursor: "" });
    expect(await throughJson(first, [request(1)], to)).toEqual(first);
    const second = listAnswer(2, [{ name: "b" }], { nextCursor: "2" });
    expect(await throughJson(second, [request(2)], to)).toEqual(second);
    expect(await throughJson(listAnswer(3, [{ name: "c" }], { nextCursor: null }), [request(3)], to)).toMatchObject({
      result: { tools: [{ name: "c" }, ...ENTRIES] },
    });
  });

  test("in a batch has them, and the other answers stay", async () => {
    const ping = { jsonrpc: "2.0", id: 2, result: {} };
    const call = listAnswer(3);
    const batch = [ping, listAnswer("1", []), call, listAnswer(1)];
    const asked = [request(2, "ping"), request("1"), request(3, "tools/call"), request(1)];
    expect(await throughJson(batch, asked)).toEqual([
      ping,
      listAnswer("1", ENTRIES),
      call,
      listAnswer(1, [{ name: "echo", inputSchema: {} }, ...ENTRIES]),
    ]);
  });

  test("has them once, though it should be answered twice", async () => {
    expect(await throughJson([listAnswer(1, []), listAnswer(1, [])])).toEqual([listAnswer(1, ENTRIES), listAnswer(1, [])]);
  });
});

describe("a tool of the origin's with the same name", () => {
  test("stays, and is the one that is called", async () => {
    const taken = new Set<string>();
    const theirs = { name: "turnpike_verify", description: "theirs" };
    const call = request(1, "tools/call", { name: "turnpike_verify" });
    expect(isOwnToolCall(call, PREFIX, taken)).toBe(true);
    const { result } = (await throughJson(listAnswer(1, [theirs]), [request(1)], own(taken))) as ListAnswer;
    expect(result.tools).toEqual([theirs, ENTRIES[0], ENTRIES[2]]);
    expect(isOwnToolCall(call, PREFIX, taken)).toBe(false);
  });

  test("is remembered from one page to the last", async () => {
    const taken = new Set<string>();
    await throughJson(listAnswer(1, [{ name: "turnpike_status" }], { nextCursor: "x" }), [request(1)], own(taken));
    const { result } = (await throughJson(listAnswer(2, []), [request(2)], own(taken))) as ListAnswer;
    expect(result.tools).toEqual([ENTRIES[0], ENTRIES[1]]);
  });

  test("for each of them leaves the answer as it was", async () => {
    const answer = listAnswer(
      1,
      NAMES.map((name) => ({ name })),
    );
    expect(await throughJson(answer)).toEqual(answer);
  });
});

describe("an answer that is not added to is the very response of the origin", () => {
  const list = JSON.stringify(listAnswer(1));

  test.each<[string, BodyInit, ResponseInit]>([
    ["an error", JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code: -32601, message: "no" } }), { headers: JSON_TYPE }],
    ["another status", list, { status: 400, headers: JSON_TYPE }],
    ["another type", list, { headers: { "Content-Type": "text/plain" } }],
    ["no type", new Uint8Array([1]), {}],
    ["a coding that is not undone", list, { headers: { ...JSON_TYPE, "Content-Encoding": "zstd" } }],
    ["such a coding on a stream", `data: ${list}\n\n`, { headers: { ...STREAM_TYPE, "Content-Encoding": "zstd" } }],
    ["no JSON", `${list}}`, { headers: JSON_TYPE }],
    ["no UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), { headers: JSON_TYPE }],
    ["another id", JSON.stringify(listAnswer("1")), { headers: JSON_TYPE }],
    ["a question that is open", JSON.stringify(listAnswer(1, [], { resultType: "input_required" })), { headers: JSON_TYPE }],
    ["a list that is none", JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools: {} } }), { headers: JSON_TYPE }],
    ["tools that are none", JSON.stringify(listAnswer(1, ["echo"])), { headers: JSON_TYPE }],
    ["a result that is none", JSON.stringify({ jsonrpc: "2.0", id: 1, result: null }), { headers: JSON_TYPE }],
    ["a message that is no JSON-RPC", JSON.stringify({ id: 1, result: { tools: [] } }), { headers: JSON_TYPE }],
    ["a request of the server's with that id", JSON.stringify({ ...listAnswer(1), method: "ping" }), { headers: JSON_TYPE }],
  ])("%s", async (_what, body, init) => {
    const response = new Response(body, init);
    const expected = await response.clone().arrayBuffer();
    const same = await addOwnTools(response, [request(1)], own());
    expect(same).toBe(response);
    expect(await same.arrayBuffer()).toEqual(expected);
  });

  test("an answer to something else", async () => {
    const response = new Response(list, { headers: JSON_TYPE });
    expect(await addOwnTools(response, [request(1, "prompts/list")], own())).toBe(response);
  });

  test("one that is too large, told or not told beforehand", async () => {
    for (const more of [{}, { "Content-Length": String(list.length) }] as Record<string, string>[]) {
      const response = new Response(list, { headers: { ...JSON_TYPE, ...more } });
      const same = await addOwnTools(response, [request(1)], own(), list.length - 1);
      expect(same).toBe(response);
      expect(await same.text()).toBe(list);
    }
    expect(await throughJson(list, [request(1)], own(), list.length)).toMatchObject({ result: { tools: [{}, ...ENTRIES] } });
  });

  test("one whose length is told to be too large, of which no copy is made", async () => {
    const response = new Response(list, { headers: { ...JSON_TYPE, "Content-Length": "9999999" } });
    response.clone = () => {
      throw new Error("a copy was made");
    };
    expect(await addOwnTools(response, [request(1)], own())).toBe(response);
  });

  test("one that breaks off, which the client sees break off", async () => {
    let pulls = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulls++ === 0) controller.enqueue(new TextEncoder().encode(list.slice(0, 10)));
        else controller.error(new Error("the origin went away"));
      },
    });
    const same = await addOwnTools(new Response(body, { headers: JSON_TYPE }), [request(1)], own());
    await expect(same.text()).rejects.toThrow("the origin went away");
  });
});

describe("a streamed answer to tools/list", () => {
  const ANSWER = JSON.stringify(listAnswer(1));
  const ADDED = JSON.stringify(listAnswer(1, [{ name: "echo", inputSchema: {} }, ...ENTRIES]));

  const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
  const aWord = fc.string({ unit: fc.constantFrom("a", "d", "data", ":", " ", "é", "東", "😀", "\u2028", "{", '"'), maxLength: 12 });
  const aComment = aWord.map((word) => [`:${word}`]);
  const aField = fc
    .tuple(fc.constantFrom("event", "id", "retry", "database", "d", "datum"), aWord)
    .map(([name, word]) => [`${name}: ${word}`]);
  const aMessage = anyJson.map((params) => JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params }));
  const someData = fc.oneof(aMessage, aWord, fc.constant(""), fc.constant(JSON.stringify(listAnswer(2)))).map((data) => [`data: ${data}`]);
  const otherEvent = fc
    .array(fc.oneof(aComment, aField, someData, fc.constant(["data"])), { minLength: 1, maxLength: 4 })
    .map((lines) => lines.flat());

  /** The answer as an event, written on one or on many lines, with what may stand around. */
  const theEvent = fc
    .record({
      before: fc.array(fc.oneof(aComment, aField), { maxLength: 2 }),
      behind: fc.array(aComment, { maxLength: 1 }),
      indent: fc.constantFrom(0, 1),
      space: fc.constantFrom("", " "),
    })
    .map(({ before, behind, indent, space }) => {
      const write = (json: string) => (indent === 0 ? [json] : json.split(/(?<=[[{,])|(?=[\]}])/)).map((line) => `data:${space}${line}`);
      // What is added goes where the list ends, in one piece.
      const added = ADDED.slice(ANSWER.length - "]}}".length, -"]}}".length);
      const lines = write(ANSWER);
      const close = lines.findLastIndex((line) => line.includes("]"));
      const changed = lines.with(
        close,
        lines[close]!.replace(/\](?=[^\]]*$)/, () => `${added}]`),
      );
      return { lines: [...before.flat(), ...lines, ...behind.flat()], changed: [...before.flat(), ...changed, ...behind.flat()] };
    });

  test("has them in the one event that answers, and all else byte for byte, in whatever chunks it comes", async () => {
    const aStream = fc.record({
      mark: fc.constantFrom("", "\uFEFF"),
      before: fc.array(otherEvent, { maxLength: 4 }),
      event: theEvent,
      behind: fc.array(otherEvent, { maxLength: 3 }),
      rest: fc.constantFrom("", ANSWER, ": bye", `data: ${ANSWER}`),
      end: lineEnd,
    });
    await fc.assert(
      fc.asyncProperty(aStream, someSizes, async ({ mark, before, event, behind, rest, end }, sizes) => {
        const write = (lines: readonly string[]) => lines.map((line) => line + end).join("") + end;
        const around = (lines: readonly string[]) => mark + [...before, lines, ...behind].map(write).join("") + rest;
        expect(await throughStream(around(event.lines), sizes)).toBe(around(event.changed));
      }),
      { numRuns: 300 },
    );
  });

  test("is the same to the byte where nothing answers, whatever bytes they are", async () => {
    const someBytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ unit: fc.constantFrom("d", "data:", "\n", "\r", ":", "x", "\uFEFF") }).map((text) => new TextEncoder().encode(text)),
    );
    await fc.assert(
      fc.asyncProperty(someBytes, someSizes, async (bytes, sizes) => {
        const response = await addOwnTools(new Response(streamOf(cut(bytes, sizes)), { headers: STREAM_TYPE }), [request(1)], own());
        expect(new Uint8Array(await response.arrayBuffer())).toEqual(Uint8Array.from(bytes));
      }),
      { numRuns: 300 },
    );
  });

  test("is left alone where it is not UTF-8, or no data of one whole event", async () => {
    const bytes = Buffer.from(`data: ${ANSWER.replace("echo", "ech\xff")}\n\n`, "latin1");
    const response = await addOwnTools(new Response(bytes, { headers: STREAM_TYPE }), [request(1)], own());
    expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes);

    const half = Buffer.concat([Buffer.from([0xef]), Buffer.from(`data: ${ANSWER}\n\n`)]);
    const marked = await addOwnTools(new Response(half, { headers: STREAM_TYPE }), [request(1)], own());
    expect(Buffer.from(await marked.arrayBuffer())).toEqual(half);

    const rest = `data: ${"x".repeat(3_000)}\ndata: ${ANSWER}\n\n`;
    expect(await throughStream(rest, [2_000, 1_008], [request(1)], own(), 1_500)).toBe(rest);
  });

  test("has them in a batch that comes as one event", async () => {
    const ping = { jsonrpc: "2.0", id: 2, result: {} };
    const text = `data: ${JSON.stringify([ping, listAnswer(1, [])])}\n\n`;
    expect(await throughStream(text, [])).toBe(`data: ${JSON.stringify([ping, listAnswer(1, ENTRIES)])}\n\n`);
  });

  test("that answers a batch in several events has them in each list", async () => {
    const text = [listAnswer(1, []), listAnswer(2, [])].map((answer) => `data: ${JSON.stringify(answer)}\r\n\r\n`).join("");
    const changed = [listAnswer(1, ENTRIES), listAnswer(2, ENTRIES)].map((answer) => `data: ${JSON.stringify(answer)}\r\n\r\n`).join("");
    expect(await throughStream(text, [7, 7, 7], [request(1), request(2)])).toBe(changed);
  });

  test("with an event beyond the bound passes that one as it is, and goes on", async () => {
    const large = `data: ${JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params: { data: "x".repeat(5_000) } })}\n\n`;
    for (const sizes of [[], Array.from({ length: 200 }, () => 50)]) {
      expect(await throughStream(large + `data: ${ANSWER}\n\n`, sizes, [request(1)], own(), 1_000)).toBe(`${large}data: ${ADDED}\n\n`);
      expect(await throughStream(`data: ${ANSWER}\n\n`, sizes, [request(1)], own(), 10)).toBe(`data: ${ANSWER}\n\n`);
    }
  });

  test("loses the length that it no longer has, and keeps its other headers", async () => {
    const headers = { ...STREAM_TYPE, "Content-Length": "9", "Mcp-Session-Id": "s" };
    const response = await addOwnTools(new Response(`data: ${ANSWER}\n\n`, { headers }), [request(1)], own());
    expect(response.headers.get("content-length")).toBeNull();
    expect(response.headers.get("mcp-session-id")).toBe("s");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
  });

  test("comes as it is sent: a comment at once, an event when it has ended", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const response = await addOwnTools(new Response(readable, { headers: STREAM_TYPE }), [request(1)], own());
    const reader = response.body!.getReader();
    const writer = writable.getWriter();
    const send = (text: string) => void writer.write(new TextEncoder().encode(text));
    const next = async () => new TextDecoder().decode((await reader.read()).value);
    for (const piece of [": still", " here\n", "id: 5\n"]) {
      send(piece);
      expect(await next()).toBe(piece);
    }
    send('data: {"jsonrpc":"2.0",');
    send('"method":"notifications/progress"}\n\n');
    expect((await next()) + (await next())).toBe('data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n');
    // Nothing is awaited behind the answer, so nothing is held.
    send(`data: ${ANSWER}\n\ndata: half`);
    expect(await next()).toBe(`data: ${ADDED}\n\n`);
    expect(await next()).toBe("data: half");
    send("\ndata: another");
    expect(await next()).toBe("\ndata: another");
    await reader.cancel();
  });

  test("is not held beyond the bound, though its event has not ended", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const response = await addOwnTools(new Response(readable, { headers: STREAM_TYPE }), [request(1)], own(), 100);
    const text = `data: ${"x".repeat(200)}`;
    const writing = writable.getWriter().write(new TextEncoder().encode(text));
    const reader = response.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(text);
    await writing;
    await reader.cancel();
  });

  test("ends at the origin when the client leaves", async () => {
    const left = Promise.withResolvers<unknown>();
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(new TextEncoder().encode(":\n")), cancel: left.resolve });
    const response = await addOwnTools(new Response(body, { headers: STREAM_TYPE }), [request(1)], own());
    await response.body!.cancel("gone");
    expect(await left.promise).toBe("gone");
  });
});

describe("a call of a tool of the gate's own", () => {
  const none = new Set<string>();

  test.each(NAMES)("is one of %s", (name) => {
    expect(isOwnToolCall(request(1, "tools/call", { name }), PREFIX, none)).toBe(true);
  });

  test.each<[string, Message]>([
    ["another tool", request(1, "tools/call", { name: "echo" })],
    ["a tool that only begins so", request(1, "tools/call", { name: "turnpike_toll" })],
    ["a name without the prefix", request(1, "tools/call", { name: "verify" })],
    ["a name that is none", request(1, "tools/call", { name: ["turnpike_verify"] })],
    ["another method", request(1, "prompts/get", { name: "turnpike_verify" })],
    ["a notification", { kind: "notification", method: "tools/call", params: { name: "turnpike_verify" } }],
    ["an answer", { kind: "response" }],
  ])("is not %s", (_what, message) => {
    expect(isOwnToolCall(message, PREFIX, none)).toBe(false);
  });
});
