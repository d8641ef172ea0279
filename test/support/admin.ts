/** The operator's side of a running gate: keys, through the admin API, and the secrets of its state folder. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningGate } from "./gate.ts";

export interface MadeKey {
  readonly key: string;
  readonly keyId: string;
}

export interface GateSecrets {
  readonly adminToken: string;
  readonly originSigningSecret: string;
}

export function secretsOf(gate: RunningGate): GateSecrets {
  return JSON.parse(readFileSync(join(gate.state, "secrets.json"), "utf8")) as GateSecrets;
}

let made = 0;

/** A key whose owner nobody else is, so that nothing is spent yet. */
export function makeKey(gate: RunningGate, plan: string, more: Readonly<Record<string, unknown>> = {}): Promise<MadeKey> {
  return admin<MadeKey>(gate, "POST", "", { consumer: `consumer-${process.pid}-${++made}`, plan, ...more });
}

export interface Consumer {
  readonly key: string;
  /** The lines of the gate's log that are about it, of one event. */
  logged(event: string): Readonly<Record<string, unknown>>[];
}

/** A consumer that nobody else is, and what the gate says of it. */
export async function makeConsumer(gate: RunningGate, plan: string): Promise<Consumer> {
  const name = `consumer-${process.pid}-${++made}`;
  const { key } = await makeKey(gate, plan, { consumer: name });
  return {
    key,
    logged: (event) =>
      gate.logs
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line["event"] === event && line["consumer"] === `key:${name}`),
  };
}

export function changeKey(gate: RunningGate, keyId: string, change: Readonly<Record<string, unknown>>): Promise<unknown> {
  return admin(gate, "PATCH", `/${keyId}`, change);
}

async function admin<T>(gate: RunningGate, method: string, path: string, body: unknown): Promise<T> {
  const response = await fetch(new URL(`/turnpike/admin/keys${path}`, gate.url), {
    method,
    headers: { Authorization: `Bearer ${secretsOf(gate).adminToken}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the admin API answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

/**
 * The text of a policy file.
 * @param code members that JSON cannot say, such as `limitsFor`
 */
export function policyText(policy: object, code = "", imports = ""): string {
  const whole = { origin: "https://origin.example/mcp", ...policy };
  return `import { definePolicy } from "mcp-turnpike";\n${imports}\nexport default definePolicy({ ...${JSON.stringify(whole, null, 2)}, ${code} });\n`;
}
