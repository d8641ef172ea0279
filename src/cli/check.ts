/**
 * `turnpike check`: a policy told in words, and what a given request would be charged, without a server. What it says is asked
 * of the gate's own functions; an override of a plan in KV, and what a consumer has used, it does not know.
 */

import { PolicyError, type Policy } from "../define-policy.ts";
import type { BadMessage } from "../mcp/message.ts";
import { badMessageAnswer } from "../refusals/gate-errors.ts";
import { layOut } from "./check/layout.ts";
import { wordPolicy } from "./check/plan-words.ts";
import { reportPolicy } from "./check/policy-report.ts";
import { readRequestFile } from "./check/request-file.ts";
import { reportRequest } from "./check/request-report.ts";
import { wordRequest } from "./check/request-words.ts";
import { loadPolicy, policyPath } from "./local/bundle.ts";
import { CliError } from "./package.ts";

export interface CheckOptions {
  readonly policy?: string;
  readonly request?: string;
  readonly plan?: string;
  readonly json?: boolean;
}

export const CHECK_HELP = `
The request file holds the body of a POST (a JSON-RPC message or a batch), or {"headers": {…}, "body": …}; a body that is a
string is taken as it stands. Each plan is taken as if nothing of it had been used.

The exit status is 1 when the policy has errors, or when the gate could not read the request; docs/policy.md describes the JSON.

Examples:
  turnpike check --policy src/policy.ts
  turnpike check --request call.json --plan free
  echo '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' | turnpike check --request - --json`;

export async function checkCommand(options: CheckOptions): Promise<void> {
  const path = policyPath(options.policy);
  const policy = await load(path, options);
  if (!policy) return;
  const { plan } = options;
  if (plan !== undefined && !Object.hasOwn(policy.plans, plan)) {
    throw new CliError(`there is no plan "${plan}" in ${path} (there are: ${Object.keys(policy.plans).join(", ")}).`);
  }
  if (options.request === undefined) {
    const report = reportPolicy(path, policy, plan, Date.now());
    return print(report, options, () => layOut(wordPolicy(report)));
  }
  const { post, headers } = await readRequestFile(options.request);
  if (!post.ok) return tellBad(post.bad, headers.get("accept"), options);
  const report = await reportRequest(policy, post.envelope, plan, Date.now());
  print(report, options, () => layOut(wordRequest(report)));
}

/** @returns null after telling all that is wrong as JSON */
async function load(path: string, options: CheckOptions): Promise<Policy | null> {
  try {
    return await loadPolicy(path);
  } catch (error) {
    if (!options.json || !(error instanceof CliError)) throw error;
    const problems = error.cause instanceof PolicyError ? error.cause.problems : [error.message];
    fail({ ok: false, policy: path, problems });
    return null;
  }
}

/** The gate's own answer to what it cannot read. */
async function tellBad(bad: BadMessage, accept: string | null, options: CheckOptions): Promise<void> {
  if (!options.json) throw new CliError(`the gate answers this request with ${bad.status} (${bad.code}): ${bad.message}`);
  fail({ ok: false, status: bad.status, answer: await badMessageAnswer(bad, accept).json() });
}

function print(report: unknown, options: CheckOptions, inWords: () => string): void {
  console.log(options.json ? JSON.stringify(report) : inWords());
}

function fail(report: unknown): void {
  console.log(JSON.stringify(report));
  process.exitCode = 1;
}
