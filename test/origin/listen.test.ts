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
        const passed = await listenToBody(response, (text) => heard.push(text)).response.bytes();
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
    expect(await listenToBody(response, (text) => heard.push(text)).response.bytes()).toEqual(body);
    expect(heard).toEqual(['{"next":1}']);
  });

  test("hears a short JSON body whole, and leaves other types alone", async () => {
    const heard: string[] = [];
    const json = new Response(streamOf(encode('{"a":1}'), [3]), { headers: { "Content-Type": "application/json" } });
    const listened = listenToBody(json, (text) => heard.push(text));
    expect(listened.response).toBe(json);
    expect(await json.text()).toBe('{"a":1}');
    await listened.done;
    const html = new Response("<p>", { headers: { "Content-Type": "text/html" } });
    expect(listenToBody(html, (text) => heard.push(text)).response).toBe(html);
    expect(heard).toEqual(['{"a":1}']);
  });
});

describe("reading a refusal ahead", () => {
  test("gives its text, and the same bytes to whoever reads it next; of a long one only the bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 200_000 }), cuts, async (length, places) => {
        const bytes = encode("é".repeat(Math.floor(length / 2)));
        const response = new Response(streamOf(bytes, places), { status: 429 });
        const text = await readAhead(response);
        expect(await response.bytes()).toEqual(bytes);
        expect(text === null || text === "é".repeat(Math.floor(length / 2))).toBe(true);
        if (bytes.length <= 64 * 1024) expect(text).not.toBeNull();
      }),
      { numRuns: 60 },
    );
  });

  test("does not wait for one that does not end, and leaves it whole for its reader", async () => {
    let send!: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (send = controller) });
    send.enqueue(encode("{"));
    const response = new Response(body, { status: 400 });
    expect(await readAhead(response, 20)).toBeNull();
    send.enqueue(encode("}"));
    send.close();
    expect(await response.text()).toBe("{}");
  });

  test("tells nothing of one that breaks off, which its reader finds broken off", async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("gone")) });
    const response = new Response(body, { status: 400 });
    expect(await readAhead(response)).toBeNull();
    await expect(response.text()).rejects.toThrow("gone");
  });
});
