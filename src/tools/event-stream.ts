/**
 * Additions to the data of single events in a `text/event-stream` (WHATWG HTML, "Server-sent events"), everything else byte
 * for byte. An event is held from its first line that may be data until the blank line that ends it, which is when a
 * client would act on it; comments, retry times and ids pass at once, in whatever pieces they come.
 *
 * Bytes are looked at one by one because an event, a line end or a character may be split over chunks anywhere.
 */

import { type Insertion, insertAll } from "./insertion.ts";

export interface EventEdit {
  /** @param data the event's data, its lines joined with line feeds */
  readonly edit: (data: string) => readonly Insertion[];
  /** True when there is nothing more to look for: from then on chunks pass unseen. */
  readonly isDone: () => boolean;
}

const LF = 10;
const CR = 13;
const LETTER_D = 100;
/** Allowed once, at the very start of a stream. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;

/** @param maxBytes an event that is longer passes as it is */
export function editEvents(edit: EventEdit, maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  const editor = new EventEditor(edit, maxBytes);
  return new TransformStream({
    transform(chunk, controller) {
      editor.push(chunk, (bytes) => controller.enqueue(bytes));
    },
    flush(controller) {
      editor.end((bytes) => controller.enqueue(bytes));
    },
  });
}

type Emit = (bytes: Uint8Array) => void;

class EventEditor {
  readonly #edit: EventEdit;
  readonly #maxBytes: number;
  /** What is done with the bytes of the event at hand; `give-up` is `pass` until the event has ended. */
  #mode: "pass" | "hold" | "give-up" = "pass";
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isLineStart = true;
  /** A line feed now is the second half of a line end that has been seen. */
  #isAfterCr = false;
  #markBytes = 0;

  constructor(edit: EventEdit, maxBytes: number) {
    this.#edit = edit;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Uint8Array, emit: Emit): void {
    if (this.#mode !== "hold" && this.#edit.isDone()) return emit(chunk);
    // Where the bytes begin that have neither been sent on nor held.
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#markBytes < BYTE_ORDER_MARK.length) {
        if (byte === BYTE_ORDER_MARK[this.#markBytes]) {
          this.#markBytes++;
          continue;
        }
        this.#isLineStart = this.#markBytes === 0;
        this.#markBytes = BYTE_ORDER_MARK.length;
      }
      if (byte === LF && this.#isAfterCr) {
        this.#isAfterCr = false;
        continue;
      }
      this.#isAfterCr = byte === CR;
      if (byte !== LF && byte !== CR) {
        // No other field than `data` is of interest, and none of the others begins like it.
        if (this.#isLineStart && this.#mode === "pass" && byte === LETTER_D) {
          if (i > from) emit(chunk.subarray(from, i));
          from = i;
          this.#mode = "hold";
        }
        this.#isLineStart = false;
        continue;
      }
      if (this.#isLineStart) {
        if (this.#mode === "hold") {
          this.#keep(chunk.subarray(from, i + 1));
          this.#release(emit, true);
          from = i + 1;
          if (this.#edit.isDone()) break;
        } else {
          this.#mode = "pass";
        }
      }
      this.#isLineStart = true;
    }
    const rest = chunk.subarray(from);
    if (rest.length === 0) return;
    if (this.#mode !== "hold") return emit(rest);
    this.#keep(rest);
    if (this.#heldBytes > this.#maxBytes) this.#release(emit, false);
  }

  /** What a stream breaks off with is no event, and is passed on all the same. */
  end(emit: Emit): void {
    this.#release(emit, false);
  }

  #keep(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #release(emit: Emit, isWhole: boolean): void {
    const held = this.#held;
    const size = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    this.#mode = isWhole ? "pass" : "give-up";
    const edited = isWhole && size <= this.#maxBytes && !this.#edit.isDone() ? editEvent(held, size, this.#edit) : null;
    if (edited) emit(edited);
    else for (const bytes of held) emit(bytes);
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The event with what is to be added, or null when nothing is. */
function editEvent(held: readonly Uint8Array[], size: number, { edit }: EventEdit): Uint8Array | null {
  let event: string;
  try {
    event = decoder.decode(held.length === 1 ? held[0]! : join(held, size));
  } catch {
    return null;
  }
  const lines = dataLines(event);
  const insertions = edit(lines.map((line) => event.slice(line.at, line.end)).join("\n"));
  if (insertions.length === 0) return null;
  return encoder.encode(insertAll(event, toEvent(insertions, lines)));
}

/** A line's data: where it stands in the event, and where in the joined data. */
interface DataLine {
  readonly at: number;
  readonly end: number;
  readonly joinedAt: number;
}

/** The field's name, a colon, and one space that does not count. */
const DATA_LINE = /(?<=^|\r\n|\r|\n)data(?:: ?([^\r\n]*))?(?=\r|\n)/g;

function dataLines(event: string): readonly DataLine[] {
  const lines: DataLine[] = [];
  let joinedAt = 0;
  for (const match of event.matchAll(DATA_LINE)) {
    const end = match.index + match[0].length;
    const at = end - (match[1]?.length ?? 0);
    lines.push({ at, end, joinedAt });
    joinedAt += end - at + 1;
  }
  return lines;
}

/** From places in the joined data to places in the event. */
function toEvent(insertions: readonly Insertion[], lines: readonly DataLine[]): readonly Insertion[] {
  return insertions.map(({ at, text }) => {
    const line = lines.findLast((line) => line.joinedAt <= at)!;
    return { at: line.at + at - line.joinedAt, text };
  });
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
