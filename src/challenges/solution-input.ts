/**
 * The body of `POST /turnpike/verify`, as a client sends it: `{id, salt, nonce, signature}`. More members are no mistake: a client
 * may send back the whole challenge with the nonce added. What is wrong is told with its place, all of it together, and
 * nothing that was sent is repeated.
 */

import * as v from "valibot";
import { type Solution, SOLUTION_FORMS } from "./proof-of-work.ts";

export type SolutionReading =
  | { readonly ok: true; readonly solution: Solution }
  /** One sentence for each mistake: "nonce: must be …". */
  | { readonly ok: false; readonly problems: readonly string[] };

const unchanged = (part: "id" | "salt" | "signature") => text(part, `must be the challenge's ${part}, unchanged`);

const solutionSchema = v.object({
  id: unchanged("id"),
  salt: unchanged("salt"),
  nonce: text("nonce", "must be a string of 1 to 64 visible ASCII characters or spaces; a number goes in quotes"),
  signature: unchanged("signature"),
});

/** @param body parsed JSON */
export function readSolution(body: unknown): SolutionReading {
  const read = v.safeParse(solutionSchema, body);
  return read.success ? { ok: true, solution: read.output } : { ok: false, problems: read.issues.map(wordIssue) };
}

function text(part: keyof Solution, must: string) {
  return v.pipe(v.string(must), v.regex(SOLUTION_FORMS[part], must));
}

function wordIssue(issue: v.BaseIssue<unknown>): string {
  const place = v.getDotPath(issue);
  if (place === null) return "body: must be an object {id, salt, nonce, signature}";
  return issue.type === "object" ? `${place}: is missing` : `${place}: ${issue.message}`;
}
