/**
 * API keys: looked up in KV under the SHA-256 of the key, so that whoever reads the namespace learns no key. Records are
 * remembered in the isolate, within a bound and for less time than KV itself needs to tell a change everywhere.
 */

import type { KVNamespace } from "@cloudflare/workers-types";
import * as v from "valibot";
import { BoundedCache } from "../bounded-cache.ts";
import { hexOf } from "../hex.ts";

export const KEY_PREFIX = "tp_";
const KV_PREFIX = "key:";
/** 256 random bits. */
const KEY_BYTES = 32;
/** No key of ours is longer, and other people's rarely are: longer values are not looked up. */
const MAX_KEY_LENGTH = 512;
const MAX_REMEMBERED = 20_000;
const REMEMBERED_MS = 30_000;
/** A key that was just made, or enabled again, must work soon, also where somebody tried it too early. */
const USELESS_REMEMBERED_MS = 5_000;
/** The least that KV accepts, in seconds. */
const KV_CACHE_TTL_S = 30;

export const keyRecordSchema = v.object({
  /** The owner. Several keys may have the same one, and share its limits. */
  consumer: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  plan: v.string(),
  /** Rises with every change of the record. */
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  name: v.optional(v.string()),
  createdAt: v.string(),
  expiresAt: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => !Number.isNaN(Date.parse(text)), "must be an ISO 8601 time"),
    ),
  ),
  disabled: v.optional(v.boolean()),
  metadata: v.optional(v.record(v.string(), v.unknown())),
});

export type KeyRecord = v.InferOutput<typeof keyRecordSchema>;

export type KeyLookup =
  | { readonly kind: "found"; readonly keyId: string; readonly record: KeyRecord }
  | { readonly kind: "unknown" }
  | { readonly kind: "disabled"; readonly keyId: string; readonly record: KeyRecord }
  | { readonly kind: "expired" }
  /** KV did not answer. */
  | { readonly kind: "unavailable" };

/** A new random key. Shown once: only its hash is stored. */
export function createKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const base64 = btoa(String.fromCharCode(...bytes));
  return KEY_PREFIX + base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The key's id: its SHA-256 in hex. */
export async function hashKey(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return hexOf(new Uint8Array(digest));
}

/** Where a key's record is in KV. */
export function keyName(keyId: string): string {
  return KV_PREFIX + keyId;
}

/** @returns null for a text that is no record */
export function parseKeyRecord(text: string): KeyRecord | null {
  try {
    const parsed = v.safeParse(keyRecordSchema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

interface Remembered {
  readonly keyId: string;
  readonly record: KeyRecord | null;
}

export class ApiKeys {
  readonly #remembered = new BoundedCache<Remembered>(MAX_REMEMBERED);

  async look(kv: KVNamespace, key: string, now: number): Promise<KeyLookup> {
    if (key.length > MAX_KEY_LENGTH) return { kind: "unknown" };
    let entry = this.#remembered.get(key, now);
    if (!entry) {
      try {
        entry = await this.#read(kv, key, now);
      } catch {
        return { kind: "unavailable" };
      }
    }
    const { keyId, record } = entry;
    if (!record) return { kind: "unknown" };
    if (record.disabled) return { kind: "disabled", keyId, record };
    if (record.expiresAt !== undefined && Date.parse(record.expiresAt) <= now) return { kind: "expired" };
    return { kind: "found", keyId, record };
  }

  /** Takes over a newer record that the consumer's object knew of before KV did. */
  learn(key: string, keyId: string, record: KeyRecord, now: number): void {
    this.#remember(key, { keyId, record }, now);
  }

  async #read(kv: KVNamespace, key: string, now: number): Promise<Remembered> {
    const keyId = await hashKey(key);
    const text = await kv.get(keyName(keyId), { cacheTtl: KV_CACHE_TTL_S });
    const entry = { keyId, record: text === null ? null : parseKeyRecord(text) };
    this.#remember(key, entry, now);
    return entry;
  }

  #remember(key: string, entry: Remembered, now: number): void {
    const isUseful = entry.record !== null && !entry.record.disabled;
    this.#remembered.set(key, entry, now + (isUseful ? REMEMBERED_MS : USELESS_REMEMBERED_MS));
  }
}
