import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { listenToBody, readAhead } from "../../src/origin/listen.ts";

function streamOf(bytes: Uint8Array, cuts: readonly number[]): ReadableStream<Uint8Array> {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return new ReadableStream({
    start(controller) {
      for (let i = 1; i < places.length; i++) {
        if (places[i]! > places[i - 1]!) controller.enqueue(bytes.slice(places[i - 1], places[i]));
      }
      controller.close();
    },
  });
}

const cuts = fc.array(fc.nat({ max: 100_000 }), { maxLength: 12 });
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("listening to an answer", () => {
  test("changes no byte of it, however it is cut, and hears each short event of a stream", async () => {
    const events = fc.array(
      fc.string({ minLength: 1, maxLength: 40 }).map((text) => JSON.stringify({ text })),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(events, cuts, fc.constantFrom("\n", "\r\n"), async (all, places, end) => {
        const bytes = encode(all.map((data) => `event: message${end}data: ${data}${end}${end}`).join(""));
        const heard: string[] = [];
        const response = new Response(streamOf(bytes, places), { headers: { "Content-Type": "text/event-stream" } });
        const passed = await listenToBody(response, (text) => heard.push(text)).bytes();
        expect(passed).toEqual(bytes);
        expect(heard).toEqual(all);
      }),
      { numRuns: 200 },
    );
  });

  test("lets go of an event that is too long for an error, and hears the next one again", async () => {
    const heard: string[] = [];
    const body = encode(`data: ${"x".repeat(100_000)}\n\ndata: {"next":1}\n\n`);
    const response = new Response(streamOf(body, [10, 50_000, 99_999]), { headers: { "Content-Type": "text/event-stream" } });
    expect(await listenToBody(response, (text) => heard.push(text)).bytes()).toEqual(body);
    expect(heard).toEqual(['{"next":1}']);
  });

  test("hears a short JSON body whole, and leaves other types alone", async () => {
    const heard: string[] = [];
    const json = new Response(streamOf(encode('{"a":1}'), [3]), { headers: { "Content-Type": "application/json" } });
    await listenToBody(json, (text) => heard.push(text)).text();
    const html = new Response("<p>", { headers: { "Content-Type": "text/html" } });
    expect(listenToBody(html, (text) => heard.push(text))).toBe(html);
    expect(heard).toEqual(['{"a":1}']);
  });
});

describe("reading a refusal ahead", () => {
  test("gives its text, and the same bytes to whoever reads it next; of a long one only the bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 200_000 }), cuts, async (length, places) => {
        const bytes = encode("é".repeat(Math.floor(length / 2)));
        const { response, text } = await readAhead(new Response(streamOf(bytes, places), { status: 429 }));
        expect(response.status).toBe(429);
        expect(await response.bytes()).toEqual(bytes);
        expect(text === null || text === "é".repeat(Math.floor(length / 2))).toBe(true);
        if (bytes.length <= 64 * 1024) expect(text).not.toBeNull();
      }),
      { numRuns: 60 },
    );
  });
});
