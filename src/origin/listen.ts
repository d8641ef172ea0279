/** Reading what an answer says without changing what its reader gets: of a refusal all of it, of a stream what passes by. */

/** Refusals are short. What is longer is not read, and passes as it is. */
const MAX_REFUSAL_BYTES = 64 * 1024;
/** A JSON-RPC error, or one event of a stream. */
const MAX_HEARD_CHARS = 16 * 1024;

export interface ReadAhead {
  /** The same answer, to be sent on. */
  readonly response: Response;
  /** Null for a body that is too long, or not text. */
  readonly text: string | null;
}

/** Reads a short body, and makes the answer whole again. */
export async function readAhead(response: Response): Promise<ReadAhead> {
  if (!response.body) return { response, text: "" };
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let isWhole = false;
  while (size <= MAX_REFUSAL_BYTES) {
    const next = await reader.read();
    if (next.done) {
      isWhole = true;
      break;
    }
    const chunk = next.value as Uint8Array;
    chunks.push(chunk);
    size += chunk.length;
  }
  const rest = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      if (isWhole) controller.close();
    },
    async pull(controller) {
      const next = await reader.read();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const again = new Response(rest, response);
  if (!isWhole) return { response: again, text: null };
  const decoder = new TextDecoder();
  const text = chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode();
  return { response: again, text };
}

/**
 * The same answer, as it streams; `hear` is given the JSON of a short body, or of each short event of a stream.
 */
export function listenToBody(response: Response, hear: (text: string) => void): Response {
  const type = response.headers.get("content-type") ?? "";
  const isStream = type.startsWith("text/event-stream");
  if (!response.body || !(isStream || type.startsWith("application/json"))) return response;
  const decoder = new TextDecoder();
  let heard = "";
  let isTooLong = false;
  const hearWhole = (text: string): void => {
    if (!isTooLong && text !== "") hear(isStream ? dataOf(text) : text);
    isTooLong = false;
  };
  const passing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      heard += decoder.decode(chunk, { stream: true });
      if (isStream) {
        const events = heard.split(EVENT_END);
        heard = events.pop()!;
        for (const event of events) hearWhole(event);
      }
      if (heard.length <= MAX_HEARD_CHARS) return;
      // Too long for an error. What may be the beginning of an event's end is kept.
      isTooLong = true;
      heard = heard.slice(-EVENT_END_CHARS);
    },
    flush: () => hearWhole(heard),
  });
  return new Response(response.body.pipeThrough(passing), response);
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
