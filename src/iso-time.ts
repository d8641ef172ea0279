/** A time as it is told to callers: ISO 8601 in UTC, without a fraction where there is none. */

/** @param ms epoch milliseconds */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}
