/**
 * Records whose keys an operator chooses. A schema's record passes over the names that every object has, without a word: what
 * is set for them would neither be checked nor told. So they are refused before.
 */

import * as v from "valibot";

const UNSEEN_NAMES: ReadonlySet<string> = new Set(["__proto__", "prototype", "constructor"]);

/** To stand in front of `v.record` in a pipe. */
export function byName<T>() {
  return v.pipe(
    v.custom<Record<string, T>>((value) => typeof value === "object" && value !== null && !Array.isArray(value), "must be an object"),
    v.check(
      (record) => !Object.keys(record).some((name) => UNSEEN_NAMES.has(name)),
      'cannot have the names "__proto__", "prototype" and "constructor" (a pattern such as "constructor*" can stand for one)',
    ),
  );
}
