/**
 * The operator's API for keys: `GET` lists, `POST` makes one, `PATCH /<id>` changes one. A change is written to KV and
 * pushed to the consumer's object, so that it holds on the next call although KV takes a minute to tell everywhere.
 */

import * as v from "valibot";
import { keyRecordSchema } from "../consumers/api-keys.ts";
import {
  changeKeyRecord,
  createKeyRecord,
  listKeyRecords,
  type NewKey,
  type RecordStore,
  recordsIn,
  type StoredKey,
} from "../consumers/key-records.ts";
import { consumerOf } from "../consumers/identify.ts";
import type { Gate, GateEnv } from "../gate.ts";
import { MEMO_MS } from "../limits/refusal-memo.ts";
import { NOBODY, plainProblem, problemAnswer } from "../refusals/answer.ts";

const newKeySchema = v.strictObject({
  consumer: keyRecordSchema.entries.consumer,
  plan: v.string(),
  name: v.optional(v.string()),
  expiresAt: keyRecordSchema.entries.expiresAt,
  metadata: keyRecordSchema.entries.metadata,
});

const changeSchema = v.union(
  [
    v.strictObject({ plan: v.string() }),
    v.strictObject({ disabled: v.boolean() }),
    v.strictObject({ metadata: v.record(v.string(), v.unknown()) }),
  ],
  'must be {"plan": name}, {"disabled": true or false} or {"metadata": {…}}',
);

/** @param id of the key that the path names, or the beginning of it */
export async function adminKeys(request: Request, id: string | undefined, env: GateEnv, gate: Gate): Promise<Response> {
  if (!env.ADMIN_TOKEN)
    return problem(404, "Admin API is off", "Set the secret ADMIN_TOKEN to use it: npx wrangler secret put ADMIN_TOKEN");
  if (!(await isSame(bearerOf(request), env.ADMIN_TOKEN))) {
    return problem(401, "Admin token required", "Send the secret ADMIN_TOKEN as `Authorization: Bearer <token>`.", {
      "WWW-Authenticate": "Bearer",
    });
  }
  const store = recordsIn(env.KEYS);
  if (id === undefined && request.method === "GET") return answer(200, { keys: await listKeyRecords(store) });
  if (id === undefined && request.method === "POST") return create(request, store, gate);
  if (id !== undefined && request.method === "PATCH") return change(request, id, store, env, gate);
  return problem(405, "Method not allowed", "GET and POST /keys, PATCH /keys/<id>.", { Allow: id === undefined ? "GET, POST" : "PATCH" });
}

async function create(request: Request, store: RecordStore, gate: Gate): Promise<Response> {
  const wanted = v.safeParse(newKeySchema, await jsonOf(request));
  if (!wanted.success) return badRequest(wanted.issues);
  const unknown = unknownPlan(wanted.output.plan, gate);
  if (unknown) return unknown;
  return answer(201, await createKeyRecord(store, wanted.output as NewKey, Date.now()));
}

async function change(request: Request, id: string, store: RecordStore, env: GateEnv, gate: Gate): Promise<Response> {
  const wanted = v.safeParse(changeSchema, await jsonOf(request));
  if (!wanted.success) return badRequest(wanted.issues);
  const unknown = "plan" in wanted.output ? unknownPlan(wanted.output.plan, gate) : null;
  if (unknown) return unknown;
  const changed = await changeKeyRecord(store, id, wanted.output);
  if (changed === "unknown") return problem(404, "No such key", `No key's id begins with "${id}".`);
  if (changed === "ambiguous") return problem(409, "Several keys", `Several keys' ids begin with "${id}". Give more of it.`);
  await push(changed, env);
  return answer(200, changed);
}

async function push({ keyId, record }: StoredKey, env: GateEnv): Promise<void> {
  await env.CONSUMERS.getByName(consumerOf(record)).pushKey(keyId, record.version, JSON.stringify(record));
  // Whoever is told "done" must not be met by a refusal that an isolate still remembers.
  await new Promise((resolve) => setTimeout(resolve, MEMO_MS));
}

function unknownPlan(plan: string, gate: Gate): Response | null {
  if (gate.policy.plans.has(plan)) return null;
  return problem(400, "No such plan", `There is no plan "${plan}" (there are: ${[...gate.policy.plans.keys()].join(", ")}).`);
}

function badRequest(issues: readonly v.BaseIssue<unknown>[]): Response {
  return problem(400, "Bad request", issues.map((issue) => `${v.getDotPath(issue) ?? "body"}: ${issue.message}`).join("; "));
}

function answer(status: number, body: unknown): Response {
  return Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
}

function problem(status: number, title: string, detail: string, headers: Record<string, string> = {}): Response {
  return problemAnswer(status, detail, plainProblem(status, title, detail), headers, NOBODY);
}

async function jsonOf(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    return undefined;
  }
}

function bearerOf(request: Request): string {
  return /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

/** Compares in constant time, by hashes, so that not even the length shows. */
async function isSame(given: string, wanted: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [a, b] = await Promise.all([given, wanted].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
  return crypto.subtle.timingSafeEqual(a!, b!);
}
