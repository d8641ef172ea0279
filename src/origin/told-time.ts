/**
 * Times as servers tell them. Nobody agreed on one form, so the form is told from the value: a date, a span with units, or
 * a bare number, whose magnitude against `now` says what it counts. What cannot be believed says nothing: a garbled
 * time must not close a gate.
 */

/** The longest that is believed: a calendar month is the longest window that APIs count in. */
export const MAX_TOLD_MS = 31 * 86_400_000;
/** A date, a span or a number is short. What is longer is none of them. */
const MAX_TIME_CHARS = 100;

const NUMBER = /^\d{1,16}(?:\.\d{1,9})?$/;

/**
 * Milliseconds from `now` until the time that is told, rounded up; 0 when it has passed; null when it says nothing.
 *
 * A bare number is a moment in epoch seconds or in epoch milliseconds when that lies within 31 days of `now`, before or
 * after, and otherwise seconds from now when that is 31 days at the most. For any `now` after 1970 no number is two of them.
 * (A span in bare milliseconds cannot be told from one in seconds. It is read as seconds, as the standards have it.)
 *
 * Read as well: HTTP-dates in their three forms (RFC 9110, 5.6.7), ISO 8601 moments, the text of a JavaScript date, and
 * spans such as `6m0s`, `250ms` or `2 minutes`.
 * @param now epoch milliseconds
 */
export function readWaitMs(told: string | number, now: number): number | null {
  if (typeof told === "number") return waitOfNumber(told, now);
  const text = told.length > MAX_TIME_CHARS ? "" : told.trim();
  if (NUMBER.test(text)) return waitOfNumber(Number(text), now);
  const span = spanMs(text);
  if (span !== null) return believed(span);
  const moment = momentMs(text, now);
  return moment === null ? null : waitUntil(moment, now);
}

/** The same for a value that is in milliseconds by its name. */
export function readMilliseconds(told: string | number): number | null {
  if (typeof told === "number") return believed(told);
  const text = told.length > MAX_TIME_CHARS ? "" : told.trim();
  return NUMBER.test(text) ? believed(Number(text)) : null;
}

/** The longest of several waits; null when none is told. */
export function longest(waits: readonly (number | null)[]): number | null {
  let found: number | null = null;
  for (const wait of waits) if (wait !== null && (found === null || wait > found)) found = wait;
  return found;
}

function waitOfNumber(value: number, now: number): number | null {
  return waitUntil(value * 1_000, now) ?? waitUntil(value, now) ?? believed(value * 1_000);
}

function waitUntil(moment: number, now: number): number | null {
  return moment >= now - MAX_TOLD_MS ? believed(Math.max(0, moment - now)) : null;
}

/** Whole milliseconds. The rounding error of an epoch with decimals, up to 0.0003 ms, is no millisecond more. */
function believed(ms: number): number | null {
  return ms >= 0 && ms <= MAX_TOLD_MS ? Math.ceil(ms - 1e-3) + 0 : null;
}

const PART = String.raw`\d{1,9}(?:\.\d{1,9})?\s?(?:ns|us|µs|μs|ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])`;
/** The source of a pattern for one span: Go's `1h2m3.5s`, or as it is said, `2 minutes and 5 seconds`. */
export const SPAN_PATTERN = `${PART}(?:(?:,| and|, and)? ?${PART}){0,5}`;
const SPAN = new RegExp(`^${SPAN_PATTERN}$`, "i");
const SPAN_PARTS = /(\d+(?:\.\d+)?)\s?([a-zµμ]+)/gi;

/** Milliseconds of a span with units, or null when the text is none. */
function spanMs(text: string): number | null {
  if (!SPAN.test(text)) return null;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(SPAN_PARTS)) ms += Number(amount) * unitMs(unit!.toLowerCase());
  return ms;
}

function unitMs(unit: string): number {
  if (unit === "ns") return 1e-6;
  if (unit === "us" || unit === "µs" || unit === "μs") return 1e-3;
  if (unit === "ms" || unit.startsWith("milli")) return 1;
  if (unit.startsWith("s")) return 1_000;
  if (unit.startsWith("m")) return 60_000;
  return unit.startsWith("h") ? 3_600_000 : 86_400_000;
}

const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
const MONTH = "(?<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const CLOCK = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
const ZONE = String.raw`(?:GMT|UTC)?(?<zone>[+-]\d\d:?\d\d)?(?: \([^()]*\))?`;
const DATES: readonly RegExp[] = [
  // As HTTP writes it, and the text of a JavaScript date, which some send.
  new RegExp(String.raw`^[A-Z][a-z]{2}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${CLOCK} ${ZONE}$`),
  new RegExp(String.raw`^[A-Z][a-z]{2} ${MONTH} (?<day>\d\d) (?<year>\d{4}) ${CLOCK} ${ZONE}$`),
  // The two obsolete forms of HTTP: RFC 850, with a year of two digits, and asctime.
  new RegExp(String.raw`^[A-Z][a-z]{5,8}, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${CLOCK} GMT$`),
  new RegExp(String.raw`^[A-Z][a-z]{2} ${MONTH} (?<day>[ \d]\d) ${CLOCK} (?<year>\d{4})$`),
];
/** The source of a pattern for one ISO 8601 moment, in its usual form. Without a zone it is UTC. */
export const ISO_PATTERN = String.raw`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?: ?Z| ?[+-]\d\d:?\d\d| UTC)?`;
const ISO = new RegExp(
  String.raw`^(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)[Tt ](?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d(?:\.\d{1,9})?))?(?: ?[Zz]| ?(?<zone>[+-]\d\d:?\d\d)| UTC)?$`,
);

/** Epoch milliseconds of a date, or null when the text is none. By hand: Date.parse reads `1` as a year. */
function momentMs(text: string, now: number): number | null {
  const groups = ISO.exec(text)?.groups ?? DATES.map((date) => date.exec(text)?.groups).find((found) => found !== undefined);
  if (!groups) return null;
  const month = /\d/.test(groups["month"]!) ? Number(groups["month"]) - 1 : MONTHS.indexOf(groups["month"]!) / 3;
  const [day, hour, minute, second] = ["day", "hour", "minute", "second"].map((part) => Number(groups[part] ?? 0));
  if (month < 0 || month > 11 || day! < 1 || day! > 31 || hour! > 24 || minute! > 59 || second! >= 61) return null;
  const year = groups["year"]!.length === 2 ? nearestYear(Number(groups["year"]), now) : Number(groups["year"]);
  return Date.UTC(year, month, day, hour, minute) + second! * 1_000 - zoneMs(groups["zone"]);
}

/** Two digits name the year of that ending which is nearest to now. */
function nearestYear(ending: number, now: number): number {
  const year = new Date(now).getUTCFullYear();
  return ending + Math.round((year - ending) / 100) * 100;
}

function zoneMs(zone: string | undefined): number {
  if (zone === undefined) return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}
