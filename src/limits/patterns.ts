/** Names by pattern, as an operator writes them for tools: `*` stands for any run of characters. */

export type Matcher<T> = (name: string) => T | undefined;

/**
 * The value of the first pattern that matches, an exact name before any pattern.
 */
export function createMatcher<T>(byPattern: Readonly<Record<string, T>>): Matcher<T> {
  const exact = new Map<string, T>();
  const patterns: { readonly regex: RegExp; readonly value: T }[] = [];
  for (const [pattern, value] of Object.entries(byPattern)) {
    if (pattern.includes("*")) patterns.push({ regex: patternRegex(pattern), value });
    else exact.set(pattern, value);
  }
  return (name) => exact.get(name) ?? patterns.find(({ regex }) => regex.test(name))?.value;
}

function patternRegex(pattern: string): RegExp {
  const escaped = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`, "s");
}
