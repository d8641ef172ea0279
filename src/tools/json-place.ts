/**
 * Where something stands in a JSON text, so that it can be added to without writing the rest anew: numbers beyond 2^53,
 * the order of keys and every space stay as their author wrote them.
 *
 * The text must be valid JSON: call these after `JSON.parse`, or what they return means nothing.
 */

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const SPACE = 32;

/** Where the text's value starts. */
export function startOfText(text: string): number {
  return skipSpace(text, 0);
}

/**
 * Where the value of an object's member starts, or -1. The last one counts when a key stands there twice, as for
 * `JSON.parse`.
 * @param at of the object's opening brace
 */
export function startOfMember(text: string, at: number, key: string): number {
  let found = -1;
  let i = skipSpace(text, at + 1);
  while (text.charCodeAt(i) === QUOTE) {
    const keyEnd = skipString(text, i);
    // Behind the colon.
    const value = skipSpace(text, skipSpace(text, keyEnd) + 1);
    if (JSON.parse(text.slice(i, keyEnd)) === key) found = value;
    i = skipComma(text, endOfValue(text, value));
  }
  return found;
}

/**
 * Where each element of an array starts.
 * @param at of the array's opening bracket
 */
export function startsOfElements(text: string, at: number): number[] {
  const starts: number[] = [];
  let i = skipSpace(text, at + 1);
  while (i < text.length && text.charCodeAt(i) !== CLOSE_BRACKET) {
    starts.push(i);
    i = skipComma(text, endOfValue(text, i));
  }
  return starts;
}

/** @returns where the value that starts at `at` has ended: behind its last character */
export function endOfValue(text: string, at: number): number {
  let depth = 0;
  let i = at;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = skipString(text, i);
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
      i++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      // The bracket of what a number or a word stands in.
      if (depth === 0) return i;
      depth--;
      i++;
    } else if (depth === 0 && (code === COMMA || code <= SPACE)) {
      return i;
    } else {
      i++;
      continue;
    }
    if (depth === 0) return i;
  }
  return i;
}

/** @param at of the opening quote; the result is behind the closing one */
function skipString(text: string, at: number): number {
  let i = at + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i + 1;
}

function skipSpace(text: string, at: number): number {
  let i = at;
  while (i < text.length && text.charCodeAt(i) <= SPACE) i++;
  return i;
}

function skipComma(text: string, at: number): number {
  const i = skipSpace(text, at);
  return text.charCodeAt(i) === COMMA ? skipSpace(text, i + 1) : i;
}
