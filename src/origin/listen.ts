/**
 * Reading what an answer says without changing what its reader gets: of a refusal and of a short answer a copy, of a stream
 * what passes by. Whatever an origin sends, or does not send, nobody waits for it longer than a moment.
 */

/** Refusals are short. What is longer is not read. */
const MAX_REFUSAL_BYTES = 64 * 1024;
/** A refusal is there at once; one that trickles, or never ends, is passed on unread. */
const REFUSAL_WITHIN_MS = 2_000;
/** A JSON-RPC error in bytes, or one event of a stream in characters. */
const MAX_HEARD = 16 * 1024;

/**
 * The text of a short body, read from a copy: the answer itself is still there, to be sent on or cancelled.
 * @returns null for a body that is too long, is not there in time, or breaks off
 */
export function readAhead(response: Response, withinMs = REFUSAL_WITHIN_MS): Promise<string | null> {
  return readCopy(response, MAX_REFUSAL_BYTES, withinMs);
}

export interface Heard {
  readonly response: Response;
  /** Settles when there is no more to hear; never rejects. */
  readonly done: Promise<void>;
}

/**
 * The same answer, as it streams; `hear` is given the JSON of a short body, or of each short event of a stream.
 */
export function listenToBody(response: Response, hear: (text: string) => void): Heard {
  const type = (response.headers.get("content-type") ?? "").toLowerCase();
  if (response.body && type.startsWith("text/event-stream")) return { response: listenToEvents(response, response.body, hear), done: DONE };
  const isShort = Number(response.headers.get("content-length") ?? 0) <= MAX_HEARD;
  if (!response.body || !isShort || !type.startsWith("application/json")) return { response, done: DONE };
  const done = readCopy(response, MAX_HEARD, null).then((text) => (text === null ? undefined : hear(text)));
  return { response, done: done.catch(() => undefined) };
}

const DONE = Promise.resolve();

/** @param withinMs null for as long as the answer itself takes */
async function readCopy(response: Response, maxBytes: number, withinMs: number | null): Promise<string | null> {
  if (!response.body) return "";
  const reader = (response.clone().body as ReadableStream<Uint8Array>).getReader();
  const { promise: late, resolve: end } = Promise.withResolvers<null>();
  const timer = withinMs === null ? null : setTimeout(() => end(null), withinMs);
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let size = 0; size <= maxBytes;) {
      const next = await Promise.race([reader.read(), late]);
      if (next === null) break;
      if (next.done) return text + decoder.decode();
      size += next.value.length;
      text += decoder.decode(next.value, { stream: true });
    }
  } catch {
    // It broke off, and so will the answer itself.
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
  // Not waited for: a copy is let go of only when the answer itself is as well.
  reader.cancel().catch(() => undefined);
  return null;
}

function listenToEvents(response: Response, body: ReadableStream<Uint8Array>, hear: (text: string) => void): Response {
  const decoder = new TextDecoder();
  let heard = "";
  let isTooLong = false;
  const hearEvent = (event: string): void => {
    if (!isTooLong && event !== "") hear(dataOf(event));
    isTooLong = false;
  };
  const passing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      heard += decoder.decode(chunk, { stream: true });
      const events = heard.split(EVENT_END);
      heard = events.pop()!;
      for (const event of events) hearEvent(event);
      if (heard.length <= MAX_HEARD) return;
      // Too long for an error. What may be the beginning of an event's end is kept.
      isTooLong = true;
      heard = heard.slice(-EVENT_END_CHARS);
    },
    flush: () => hearEvent(heard),
  });
  return new Response(body.pipeThrough(passing), response);
}

const EVENT_END = /\r?\n\r?\n/;
const EVENT_END_CHARS = 4;

/** The data of one server-sent event. */
function dataOf(event: string): string {
  return event
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");
}
