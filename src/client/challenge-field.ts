/** What the fields of every challenge have in common: they come over the network, and are bounded. */

/** Far more than any gate sends: what is longer is not for us. */
const MAX_FIELD_CHARS = 4_096;
/** A refusal offers a few ways on, never many. */
const MAX_CHALLENGES = 16;

export function isField(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_FIELD_CHARS;
}

export function isTime(value: unknown): value is string {
  return isField(value) && !Number.isNaN(Date.parse(value));
}

/** What `read` makes of the items of a list; those of which it makes nothing are left out. */
export function readList<T>(list: unknown, read: (item: unknown) => T | null): T[] {
  if (!Array.isArray(list)) return [];
  return list.slice(0, MAX_CHALLENGES).flatMap((item: unknown) => read(item) ?? []);
}
