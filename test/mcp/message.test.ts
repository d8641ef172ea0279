import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { INVALID_REQUEST, MAX_BATCH, PARSE_ERROR, parseMessages } from "../../src/mcp/message.ts";
import { MAX_DEPTH } from "../../src/mcp/scan.ts";
import { aMethod, anId, anyJson, aRecord, aRequest, escaped } from "./json.ts";

function messageOf(text: string) {
  const parsed = parseMessages(text);
  if (!parsed.ok) throw new Error(parsed.bad.message);
  return parsed.envelope.messages[0]!;
}

function problemOf(text: string) {
  const parsed = parseMessages(text);
  if (parsed.ok) throw new Error("must not be accepted");
  return parsed.bad;
}

/** A message as deep as that; the message and its params are the first two levels. */
function nested(levels: number): string {
  const inner = "[".repeat(levels - 2) + "]".repeat(levels - 2);
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":${inner}}}`;
}

describe("a message", () => {
  test("is read as what it is, with its own id, method and params", () => {
    fc.assert(
      fc.property(aRequest, (request) => {
        const text = JSON.stringify(request);
        const { id, method, params } = JSON.parse(text) as typeof request;
        expect(parseMessages(text)).toEqual({
          ok: true,
          envelope: { messages: [{ kind: "request", id, method, params }], isBatch: false },
        });
      }),
      { numRuns: 500 },
    );
  });

  test("without an id is a notification, without a method an answer", () => {
    expect(messageOf('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}')).toEqual({
      kind: "notification",
      method: "notifications/cancelled",
      params: { requestId: 3 },
    });
    expect(messageOf('{"jsonrpc":"2.0","id":3,"result":{}}')).toEqual({ kind: "response" });
    expect(messageOf('{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"no"}}')).toEqual({ kind: "response" });
  });

  test("with a method and a result is a request: what a server may execute is counted", () => {
    expect(messageOf('{"jsonrpc":"2.0","id":3,"result":{},"method":"tools/call"}')).toMatchObject({
      kind: "request",
      method: "tools/call",
    });
  });

  test("an id of 0 or of the empty text is an id", () => {
    expect(messageOf('{"jsonrpc":"2.0","id":0,"method":"ping"}')).toMatchObject({ kind: "request", id: 0 });
    expect(messageOf('{"jsonrpc":"2.0","id":"","method":"ping"}')).toMatchObject({ kind: "request", id: "" });
  });

  test.each([
    ["no JSON", '{"jsonrpc":"2.0",', PARSE_ERROR],
    ["nothing", "", PARSE_ERROR],
    ["a number", "7", INVALID_REQUEST],
    ["null", "null", INVALID_REQUEST],
    ["another version", '{"jsonrpc":"1.0","id":1,"method":"ping"}', INVALID_REQUEST],
    ["no version", '{"id":1,"method":"ping"}', INVALID_REQUEST],
    ["neither method nor answer", '{"jsonrpc":"2.0","id":1}', INVALID_REQUEST],
    ["a method that is no text", '{"jsonrpc":"2.0","id":1,"method":["ping"]}', INVALID_REQUEST],
    ["params in a list", '{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', INVALID_REQUEST],
    ["params that are null", '{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', INVALID_REQUEST],
    ["an id that is null", '{"jsonrpc":"2.0","id":null,"method":"ping"}', INVALID_REQUEST],
    ["an id that is an object", '{"jsonrpc":"2.0","id":{},"method":"ping"}', INVALID_REQUEST],
  ])("%s is refused and says so", (_what, text, code) => {
    expect(problemOf(text)).toMatchObject({ status: 400, code });
  });

  test("that is refused keeps its id where it could be read", () => {
    expect(problemOf('{"jsonrpc":"1.0","id":"seven","method":"ping"}').id).toBe("seven");
    expect("id" in problemOf("7")).toBe(false);
  });
});

describe("a batch", () => {
  test("is read message by message", () => {
    fc.assert(
      fc.property(fc.array(aRequest, { minLength: 1, maxLength: 6 }), (requests) => {
        const parsed = parseMessages(JSON.stringify(requests));
        if (!parsed.ok) throw new Error(parsed.bad.message);
        expect(parsed.envelope.isBatch).toBe(true);
        expect(parsed.envelope.messages.map((message) => message.kind === "request" && message.id)).toEqual(
          (JSON.parse(JSON.stringify(requests)) as typeof requests).map((request) => request.id),
        );
      }),
      { numRuns: 200 },
    );
  });

  test("that is empty, too long or has a bad message in it is refused whole", () => {
    const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
    expect(problemOf("[]")).toMatchObject({ code: INVALID_REQUEST });
    expect(parseMessages(JSON.stringify(Array.from({ length: MAX_BATCH }, () => ping))).ok).toBe(true);
    expect(problemOf(JSON.stringify(Array.from({ length: MAX_BATCH + 1 }, () => ping)))).toMatchObject({ code: INVALID_REQUEST });
    expect(problemOf(JSON.stringify([ping, { id: 2 }]))).toMatchObject({ code: INVALID_REQUEST });
    expect(problemOf(JSON.stringify([ping, [ping]]))).toMatchObject({ code: INVALID_REQUEST });
  });
});

describe("duplicate keys", () => {
  const envelopeKeys = fc.constantFrom("jsonrpc", "id", "method", "params");

  test("in the message, its params or their _meta are found in every spelling, alone and in batches", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("message", "params", "_meta"),
        fc.oneof(envelopeKeys, fc.constantFrom("name", "arguments", "progressToken"), fc.stringMatching(/^[a-z]{1,10}$/)),
        fc.nat(1_023),
        fc.nat(1_023),
        aRecord,
        fc.nat(3),
        (place, key, first, second, args, before) => {
          const twice = `${escaped(key, first)}:1,${escaped(key, second)}:2`;
          const meta = place === "_meta" ? `{"x-other":0,${twice}}` : '{"progressToken":1}';
          const params =
            place === "params" ? `{"x-other":${JSON.stringify(args)},${twice}}` : `{"arguments":${JSON.stringify(args)},"_meta":${meta}}`;
          const message =
            place === "message"
              ? `{"x-other":${JSON.stringify(args)},${twice}}`
              : `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
          const batch = `[${[...Array(before).fill('{"jsonrpc":"2.0","id":1,"method":"ping"}'), message].join(" , ")}]`;
          for (const text of [message, batch]) {
            const bad = problemOf(text);
            expect(bad).toMatchObject({ status: 400, code: INVALID_REQUEST });
            expect(bad.message).toContain(`The key ${JSON.stringify(key)} stands twice`);
          }
        },
      ),
      { numRuns: 700 },
    );
  });

  test("the one that parsers disagree about is refused: which method is it?", () => {
    expect(problemOf('{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{}}').message).toContain('"method"');
    expect(problemOf('{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}').message).toContain('"method"');
  });

  test("are never reported for JSON that has none, whatever stands in the arguments", () => {
    fc.assert(
      fc.property(aMethod, anId, aRecord, aRecord, fc.nat(4), (method, id, args, meta, indent) => {
        const message = { jsonrpc: "2.0", id, method, params: { name: "x", arguments: args, _meta: meta } };
        expect(parseMessages(JSON.stringify(message, null, indent)).ok).toBe(true);
        expect(parseMessages(JSON.stringify([message, message], null, indent)).ok).toBe(true);
      }),
      { numRuns: 700 },
    );
  });

  test("inside the arguments are the tool's own business", () => {
    expect(
      parseMessages('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"a":1,"a":2,"params":{"b":1,"b":2}}}}').ok,
    ).toBe(true);
  });

  test("strings that look like keys, braces or escapes confuse nothing", () => {
    const tricky = ['{"id":1,"id":2}', '\\"', "\\\\", '","id":', "[[[{{{", "]}]}", "\u2028", '\\\\"'];
    const message = { jsonrpc: "2.0", id: 1, method: "x", params: { name: tricky[0], arguments: { tricky }, other: tricky.join() } };
    expect(parseMessages(JSON.stringify(message)).ok).toBe(true);
  });
});

describe("whatever is sent", () => {
  test("generated JSON never throws, and what is accepted has what its kind has", () => {
    fc.assert(
      fc.property(anyJson, (json) => {
        const parsed = parseMessages(JSON.stringify(json));
        if (parsed.ok) expect(parsed.envelope.messages.length).toBeGreaterThan(0);
        else expect(parsed.bad.message).not.toContain("stands twice");
      }),
      { numRuns: 1_000 },
    );
  });

  test("messages with characters changed, dropped or doubled never throw", () => {
    const mutations = fc.array(
      fc.record({
        at: fc.nat(),
        put: fc.oneof(fc.constantFrom("", '"', "{", "}", "[", "]", ",", ":", "\\", "\u0000"), fc.string({ maxLength: 3 })),
      }),
      {
        minLength: 1,
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(fc.oneof(aRequest, fc.array(aRequest, { maxLength: 3 })), mutations, (json, changes) => {
        let text = JSON.stringify(json);
        for (const { at, put } of changes) {
          const i = at % (text.length + 1);
          text = text.slice(0, i) + put + text.slice(i + 1);
        }
        const parsed = parseMessages(text);
        if (!parsed.ok) expect([PARSE_ERROR, INVALID_REQUEST]).toContain(parsed.bad.code);
      }),
      { numRuns: 1_500 },
    );
  });

  test(`nesting is accepted up to ${MAX_DEPTH} levels and refused beyond, as deep as it may be`, () => {
    expect(parseMessages(nested(MAX_DEPTH)).ok).toBe(true);
    expect(problemOf(nested(MAX_DEPTH + 1)).message).toContain("nested too deeply");
    expect(problemOf("[".repeat(200_000) + "]".repeat(200_000)).code).toBe(INVALID_REQUEST);
    expect(problemOf("[".repeat(200_000)).code).toBe(PARSE_ERROR);
    expect(parseMessages(`[${Array(50).fill(nested(100)).join(",")}]`).ok).toBe(true);
  });
});
