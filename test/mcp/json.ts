/** JSON texts and messages for tests, generated and mutated. */

import * as fc from "fast-check";

const names = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom(
    "method",
    "params",
    "_meta",
    "id",
    "jsonrpc",
    "name",
    "arguments",
    "params/_meta",
    "__proto__",
    "constructor",
    "batch",
    "",
  ),
);

/** Any JSON value, with keys that look like those of an envelope. */
export const anyJson: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(names, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

export const aRecord = fc.dictionary(names, anyJson, { maxKeys: 5, noNullPrototype: true });

export const aMethod = fc.oneof(
  fc.constantFrom("tools/call", "tools/list", "initialize", "resources/read", "prompts/get", "ping", "subscriptions/listen", "x/unknown"),
  fc.string({ maxLength: 20 }),
);

export const anId = fc.oneof(fc.integer(), fc.string({ maxLength: 20 }));

export const aRequest = fc.record({
  jsonrpc: fc.constant("2.0"),
  id: anId,
  method: aMethod,
  params: fc.record({ name: fc.string({ maxLength: 8 }), arguments: aRecord, _meta: aRecord }, { requiredKeys: [] }),
});

/** The same key in another spelling: any of its characters may be escaped. */
export function escaped(key: string, which: number): string {
  const spelled = Array.from(key, (char, i) => ((which >> i) & 1 ? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}` : char));
  return `"${spelled.join("")}"`;
}
