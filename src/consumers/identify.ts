/** Who is calling: an API key, a verified token, another bearer, or an address, in this order. The first that applies decides. */

import type { KVNamespace } from "@cloudflare/workers-types";
import { looksLikePass } from "../challenges/pass.ts";
import type { ResolvedPolicy } from "../resolve-policy.ts";
import { addressConsumer, isInRange } from "./addresses.ts";
import { type ApiKeys, KEY_PREFIX, type KeyRecord, parseKeyRecord } from "./api-keys.ts";
import type { Bearers } from "./bearers.ts";
import { type Caller, NO_METADATA } from "./caller.ts";
import type { Tokens } from "./tokens.ts";

export type Stranger =
  | "unknown-key"
  | "disabled-key"
  | "expired-key"
  | "invalid-token"
  | "key-required"
  /** The same, where a bearer of the origin's will do as well. */
  | "key-or-bearer-required"
  /** Not the caller's fault: KV, or the issuer's published keys, cannot be read. */
  | "keys-unavailable"
  | "issuer-unavailable";

export type Identified = { readonly ok: true; readonly caller: Caller } | { readonly ok: false; readonly why: Stranger };

export interface IdentityRooms {
  readonly policy: ResolvedPolicy;
  readonly apiKeys: ApiKeys;
  readonly tokens: Tokens;
  readonly bearers: Bearers;
}

const BEARER = /^Bearer +(\S+) *$/i;

/**
 * @param newerRecord asks the consumer's object for a newer record of a key than `version`; null when there is none
 * @param now epoch milliseconds
 */
export async function identify(
  headers: Headers,
  kv: KVNamespace,
  newerRecord: (consumer: string, keyId: string, version: number) => Promise<string | null>,
  rooms: IdentityRooms,
  now: number,
): Promise<Identified> {
  const presented = presentedKey(headers);
  if (presented) {
    const found = await rooms.apiKeys.look(kv, presented.key, now);
    if (found.kind === "found") return { ok: true, caller: keyCaller(found.keyId, found.record, presented.header) };
    if (found.kind === "disabled") {
      // It may have been enabled again a moment ago, which its object knows before KV does.
      const { keyId, record } = found;
      const text = await newerRecord(consumerOf(record), keyId, record.version);
      const newer = text === null ? null : parseKeyRecord(text);
      if (newer) rooms.apiKeys.learn(presented.key, keyId, newer, now);
      if (newer && !newer.disabled) return { ok: true, caller: keyCaller(keyId, newer, presented.header) };
    }
    return { ok: false, why: found.kind === "unavailable" ? "keys-unavailable" : `${found.kind}-key` };
  }
  const token = BEARER.exec(headers.get("authorization") ?? "")?.[1];
  // A pass pays and identifies nobody.
  if (token !== undefined && !looksLikePass(token)) {
    const checked = await rooms.tokens.check(token, now);
    switch (checked.kind) {
      case "verified":
        return {
          ok: true,
          caller: {
            id: `jwt:${checked.issuer}:${checked.subject}`,
            kind: "jwt",
            plan: checked.plan,
            keyId: "",
            keyVersion: 0,
            metadata: checked.claims,
            consumedHeader: null,
          },
        };
      case "invalid":
        return { ok: false, why: "invalid-token" };
      case "unavailable":
        return { ok: false, why: "issuer-unavailable" };
      case "foreign":
        break;
    }
    const { bearerPlan } = rooms.policy;
    const id = bearerPlan === null ? null : await rooms.bearers.consumerOf(token, now);
    if (bearerPlan !== null && id !== null) return { ok: true, caller: bearerCaller(id, bearerPlan) };
  }
  const caller = plannedAddress(headers, rooms.policy);
  if (caller) return { ok: true, caller };
  return { ok: false, why: rooms.policy.bearerPlan === null ? "key-required" : "key-or-bearer-required" };
}

/** The API key that a request presents, and the header it stands in. */
export function presentedKey(headers: Headers): { readonly key: string; readonly header: "x-api-key" | "authorization" } | null {
  const apiKey = headers.get("x-api-key");
  if (apiKey !== null) return { key: apiKey, header: "x-api-key" };
  const bearer = BEARER.exec(headers.get("authorization") ?? "")?.[1];
  return bearer?.startsWith(KEY_PREFIX) ? { key: bearer, header: "authorization" } : null;
}

export function keyCaller(keyId: string, record: KeyRecord, header: "x-api-key" | "authorization"): Caller {
  return {
    id: consumerOf(record),
    kind: "key",
    plan: record.plan,
    keyId,
    keyVersion: record.version,
    metadata: record.metadata ?? NO_METADATA,
    consumedHeader: header,
  };
}

/** The consumer id of a key's owner. */
export function consumerOf(record: KeyRecord): string {
  return `key:${record.consumer}`;
}

/** The caller as its address alone. Cloudflare sets the header, and overwrites what a client sends. */
export function addressCaller(headers: Headers, plan: string): Caller {
  const id = addressConsumer(headers.get("cf-connecting-ip") ?? "") ?? "addr:unknown";
  return { id, kind: "addr", plan, keyId: "", keyVersion: 0, metadata: NO_METADATA, consumedHeader: null };
}

/** The caller as its address, on the plan that the policy has for it; null where it has none. */
export function plannedAddress(headers: Headers, policy: ResolvedPolicy): Caller | null {
  const address = headers.get("cf-connecting-ip") ?? "";
  const shared = policy.sharedRanges.find(({ range }) => isInRange(address, range));
  const plan = shared ? shared.plan : policy.addressPlan;
  return plan === null ? null : addressCaller(headers, plan);
}

function bearerCaller(id: string, plan: string): Caller {
  return { id, kind: "bearer", plan, keyId: "", keyVersion: 0, metadata: NO_METADATA, consumedHeader: null };
}
