/** `turnpike status`: what a gate knows of its caller: the plan, what remains of it, prepaid calls. */

import { type CallerOptions, callerHeaders, warnOfPlainHttp } from "./agent/options.ts";
import { CliError } from "./package.ts";

export interface StatusOptions extends CallerOptions {
  readonly json?: boolean;
}

/** As `GET /turnpike/status` answers; read leniently, for a gate may be older or newer than this command. */
interface Status {
  readonly plan?: unknown;
  readonly limits?: unknown;
  readonly credits?: unknown;
}

const TIMEOUT_MS = 15_000;

export async function statusCommand(url: URL, options: StatusOptions): Promise<void> {
  const at = url.pathname.endsWith("/status") ? url : new URL("/turnpike/status", url);
  const headers = callerHeaders(options);
  warnOfPlainHttp(at, headers);
  let response: Response;
  try {
    response = await fetch(at, { headers: { ...headers, Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new CliError(`${at.origin} does not answer: ${String((error as Error).cause ?? error)}`);
  }
  const status = (await response.json().catch(() => null)) as (Status & { readonly detail?: unknown }) | null;
  if (!response.ok) {
    const why = typeof status?.detail === "string" ? status.detail : "no reason given";
    throw new CliError(`${at.href} answered ${response.status}: ${why}`);
  }
  if (typeof status?.plan !== "string") throw new CliError(`${at.href} is no gate's status. Give the gate's own address.`);
  console.log(options.json ? JSON.stringify(status) : wordStatus(status));
}

function wordStatus({ plan, limits, credits }: Status): string {
  const lines = Array.isArray(limits) ? limits.map((limit: unknown) => `  ${wordLimit(limit as Record<string, unknown>)}`) : [];
  const prepaid = typeof credits === "number" ? [credits === 1 ? "1 prepaid call" : `${credits} prepaid calls`] : [];
  return [`plan ${String(plan)}`, ...lines, ...prepaid].join("\n");
}

function wordLimit({ name, quota, windowSeconds, remaining, resetSeconds }: Record<string, unknown>): string {
  const more = typeof resetSeconds === "number" && resetSeconds > 0 ? `, more in ${resetSeconds} s` : "";
  return `${String(name)}: ${String(remaining)} of ${String(quota)} left (full again within ${String(windowSeconds)} s)${more}`;
}
