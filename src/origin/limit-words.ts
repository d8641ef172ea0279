/** What a server says of its limits in words, and by name. Words are read last: people write them. */

import { ISO_PATTERN, readWaitMs, SPAN_PATTERN } from "./told-time.ts";

/** A refusal says what it is at once; the rest of a page is its decoration. Bounds what the patterns are run over. */
const MAX_WORDS_CHARS = 2_000;

/** What was hit, said of a rate or of a quota. A full disk is a quota too, but no time frees it. */
const SAYS_LIMIT = new RegExp(
  [
    String.raw`\brate[\s_-]?limit(?:s|ed|ing)?\b[^.]{0,60}\b(?:exceeded|reached|hit)\b`,
    String.raw`\b(?:exceeded|reached|hit)\b[^.]{0,60}\brate[\s_-]?limit`,
    String.raw`\bsecondary rate limit`,
    String.raw`\babuse detection`,
    String.raw`\brate[\s_-]?limited\b`,
    String.raw`\brate[\s_-]?limit(?:ing)?\s*(?:[:.!,(]|$)`,
    String.raw`\btoo[\s_-]many[\s_-](?:\w{1,20}[\s_-])?(?:requests|calls)\b`,
    String.raw`(?<!\b(?:disk|storage|space) )\bquota\b[^.]{0,40}\b(?:exceeded|reached|exhausted|used up)\b`,
    String.raw`\b(?:exceeded|reached|exhausted)\b[^.]{0,40}(?<!\b(?:disk|storage|space) )\bquota\b`,
    String.raw`\brateLimitExceeded|\bquotaExceeded`,
    String.raw`\bthrottl(?:ed|ing)\b`,
  ].join("|"),
  "i",
);

/** Whether a text says that a limit of rate or of quota was hit. */
export function saysLimit(text: string): boolean {
  return SAYS_LIMIT.test(text.slice(0, MAX_WORDS_CHARS));
}

const LEAD = String.raw`\b(?:retry|try(?:ing)?(?: \w{1,10}){0,2} again|wait(?:ing)?|resets?|available(?: again)?)`;
const LINK = String.raw`(?:[\s-]+(?:after|in|for|at least|about|approximately|at|until))*[\s:=]+`;
const TOLD_SPAN = new RegExp(`${LEAD}${LINK}(?<time>${SPAN_PATTERN})`, "i");
const TOLD_MOMENT = new RegExp(`(?:${LEAD}|\\buntil)${LINK}(?<time>${ISO_PATTERN})`, "i");
/** A number without a unit counts seconds, as in the header of that name, when nothing else is counted after it. */
const TOLD_SECONDS = /\bretry[ _-]?after[\s:="]+(?<time>\d{1,7}(?:\.\d{1,9})?)(?=["')\]}<,;]|\.?\s*$|\. )/i;

/** The time in sentences such as "Retry after 2 seconds" or "try again in 3m", in milliseconds; null when they have none. */
export function readWaitInWords(text: string, now: number): number | null {
  const words = text.slice(0, MAX_WORDS_CHARS);
  for (const pattern of [TOLD_SPAN, TOLD_MOMENT, TOLD_SECONDS]) {
    const time = pattern.exec(words)?.groups?.["time"];
    const waitMs = time === undefined ? null : readWaitMs(time, now);
    if (waitMs !== null) return waitMs;
  }
  return null;
}

/** Names that programs give to a limit that was hit, without case and separators. */
const LIMIT_NAMES: ReadonlySet<string> = new Set([
  "ratelimit",
  "ratelimited",
  "ratelimiterror",
  "ratelimitexceeded",
  "userratelimitexceeded",
  "toomanyrequests",
  "toomanyrequestsexception",
  "quotaexceeded",
  "throttled",
  "throttling",
  "throttlingexception",
  "requestlimitexceeded",
]);
const TOO_MANY_REQUESTS = 429;
const NAMING_MEMBERS = ["code", "type", "name", "error", "reason"];

/**
 * Whether an object names its kind in a member for programs: `code: "rate_limited"`, `code: 429`. Not so `status: 429`: a tool
 * that fetches may be telling what some other server answered.
 */
export function namesLimit(value: Readonly<Record<string, unknown>>): boolean {
  return NAMING_MEMBERS.some((member) => {
    const name = value[member];
    return typeof name === "string" ? LIMIT_NAMES.has(plainName(name)) : name === TOO_MANY_REQUESTS;
  });
}

/** The registered problem types of a limit (draft-ietf-httpapi-ratelimit-headers-10, 6): a fragment of IANA's registry. */
const PROBLEM_TYPE = /^https:\/\/(?:www\.)?iana\.org\/assignments\/http-problem-types#(?:quota-exceeded|abnormal-usage-detected)$/;

/** Whether an object is a Problem Details object (RFC 9457) of a limit. */
export function isLimitProblem(value: Readonly<Record<string, unknown>>): boolean {
  const type = value["type"];
  return typeof type === "string" && PROBLEM_TYPE.test(type);
}

const MAX_NAME_CHARS = 100;

/** `retry_after-Ms` and `retryAfterMs` are one name. */
export function plainName(name: string): string {
  return name.length > MAX_NAME_CHARS ? "" : name.toLowerCase().replace(/[\s_-]/g, "");
}
