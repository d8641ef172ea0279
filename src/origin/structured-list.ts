/**
 * Lists of RFC 9651, as far as the RateLimit fields need them: items with parameters. Strict, as the standard wants it: a
 * list that is wrong anywhere is wrong altogether. Values of types that those fields do not use are checked and then
 * forgotten. By hand, because a whole parser of structured fields would be the larger part of what reads them.
 */

/** A String or an Integer; null stands for a value of any other type. */
export type BareItem = string | number | null;

export interface ListItem {
  readonly value: BareItem;
  readonly parameters: ReadonlyMap<string, BareItem>;
}

/** Far more than any server has policies. */
const MAX_ITEMS = 64;

const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const NUMBER = /-?(\d+)(?:\.(\d+))?/y;
/** Token, Byte Sequence, Boolean, Date, Display String. */
const OTHER =
  /[A-Za-z*][!#$%&'*+\-.^_`|~\w:/]*|:[A-Za-z0-9+/=]*:|\?[01]|@-?\d{1,15}(?![\d.])|%"(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*"/y;
const KEY = /; *([a-z*][a-z0-9_.*-]*)(=?)/y;
const COMMA = /[ \t]*,[ \t]*/y;

/** @returns null when the text is no list of items. Inner lists are no items, and no RateLimit field has them. */
export function parseItemList(text: string): readonly ListItem[] | null {
  const reader = new Reader(text.trim());
  const items: ListItem[] = [];
  while (items.length < MAX_ITEMS) {
    const value = reader.bareItem();
    if (value === undefined) return null;
    const parameters = reader.parameters();
    if (parameters === undefined) return null;
    items.push({ value, parameters });
    if (reader.isAtEnd()) return items;
    if (!reader.take(COMMA)) return null;
  }
  return null;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  take(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match) this.#at = sticky.lastIndex;
    return match;
  }

  /** Undefined when what stands here is no bare item (RFC 9651, 4.2.3.1). */
  bareItem(): BareItem | undefined {
    const string = this.take(STRING);
    if (string) return string[1]!.replace(/\\(.)/g, "$1");
    const number = this.take(NUMBER);
    if (!number) return this.take(OTHER) ? null : undefined;
    const [whole, digits, fraction] = number;
    if (fraction === undefined) return digits!.length <= 15 ? Number(whole) : undefined;
    return digits!.length <= 12 && fraction.length <= 3 ? null : undefined;
  }

  /** A key that stands twice has its last value (RFC 9651, 4.2.3.2). */
  parameters(): Map<string, BareItem> | undefined {
    const parameters = new Map<string, BareItem>();
    for (let key = this.take(KEY); key; key = this.take(KEY)) {
      const value = key[2] === "" ? null : this.bareItem();
      if (value === undefined) return undefined;
      parameters.set(key[1]!, value);
    }
    return parameters;
  }
}
