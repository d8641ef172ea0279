/**
 * Names by pattern, as an operator writes them for tools: `*` stands for any run of characters. Matched from one fixed part to
 * the next and never back, so that a name of megabytes, which any caller may send, costs one look at each character.
 */

export type Matcher<T> = (name: string) => T | undefined;

/** A pattern taken apart at its stars: what a name begins with, has in this order, and ends with. */
interface Pattern<T> {
  readonly first: string;
  readonly middle: readonly string[];
  readonly last: string;
  readonly value: T;
}

/**
 * The value of the first pattern that matches, an exact name before any pattern.
 */
export function createMatcher<T>(byPattern: Readonly<Record<string, T>>): Matcher<T> {
  const exact = new Map<string, T>();
  const patterns: Pattern<T>[] = [];
  for (const [pattern, value] of Object.entries(byPattern)) {
    const [first = "", ...rest] = pattern.split("*");
    const last = rest.pop();
    if (last === undefined) exact.set(pattern, value);
    else patterns.push({ first, middle: rest.filter((part) => part !== ""), last, value });
  }
  return (name) => exact.get(name) ?? patterns.find((pattern) => matches(pattern, name))?.value;
}

/** Each part where it comes first: a later place would leave less room for the rest, and never more. */
function matches({ first, middle, last }: Pattern<unknown>, name: string): boolean {
  const end = name.length - last.length;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  for (const part of middle) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= end;
}
