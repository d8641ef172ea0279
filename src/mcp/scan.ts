/**
 * One pass over a JSON text for the two things that `JSON.parse` does not tell: how deep it is nested, and whether a
 * key stands twice in the part that decides what a message is. Parsers disagree about duplicate keys (the first wins, the
 * last wins), so a message that has them could be one call for the gate and another for the origin.
 *
 * The text must be valid JSON: call it after `JSON.parse`. It costs one look at each character.
 */

/** Deeper than any tool's arguments; shallow enough for every recursive parser behind the gate. */
export const MAX_DEPTH = 128;

export type ScanProblem = { readonly kind: "too-deep" } | { readonly kind: "duplicate-key"; readonly key: string };

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const COLON = 58;

/** The parts of a message in which a key must not stand twice: the message, its params, and their `_meta`. */
const ENVELOPE_PATHS = new Set(["", "params", "params/_meta"]);

interface Frame {
  /** Keys seen, for an object of the envelope; null for everything else. */
  readonly keys: Set<string> | null;
  readonly path: string;
  /** The key whose value comes next. */
  key: string;
}

export function scanEnvelope(text: string): ScanProblem | null {
  const frames: Frame[] = [];
  // A batch puts its messages one level down; they are envelopes all the same.
  let depth = 0;
  let stringStart = -1;
  let lastString: [number, number] | null = null;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (stringStart >= 0) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) {
        lastString = [stringStart, i + 1];
        stringStart = -1;
      }
      continue;
    }
    switch (code) {
      case QUOTE:
        stringStart = i;
        break;
      case COLON: {
        const frame = depth <= frames.length ? frames[depth - 1] : undefined;
        if (!frame?.keys || !lastString) break;
        const key = readKey(text, lastString[0], lastString[1]);
        if (frame.keys.has(key)) return { kind: "duplicate-key", key };
        frame.keys.add(key);
        frame.key = key;
        break;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth++;
        if (depth > MAX_DEPTH) return { kind: "too-deep" };
        // Below the envelope only the depth matters.
        if (frames.length === depth - 1 && frames.length < 5) frames.push(openFrame(frames.at(-1), code === OPEN_BRACE));
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (frames.length === depth) frames.pop();
        depth--;
        break;
    }
  }
  return null;
}

/** @param start of the opening quote; `end` is behind the closing one */
function readKey(text: string, start: number, end: number): string {
  const plain = text.slice(start + 1, end - 1);
  return plain.includes("\\") ? (JSON.parse(text.slice(start, end)) as string) : plain;
}

function openFrame(parent: Frame | undefined, isObject: boolean): Frame {
  if (!parent || parent.path === "batch") {
    return isObject ? { keys: new Set(), path: "", key: "" } : { keys: null, path: parent ? "other" : "batch", key: "" };
  }
  const path = parent.keys ? (parent.path ? `${parent.path}/${parent.key}` : parent.key) : "other";
  return isObject && ENVELOPE_PATHS.has(path) ? { keys: new Set(), path, key: "" } : { keys: null, path: "other", key: "" };
}
