/** Making, listing and changing key records, on anything that stores like KV: the Worker's namespace, or a local one. */

import { createKey, hashKey, keyName, type KeyRecord, parseKeyRecord } from "./api-keys.ts";

/** The part of KVNamespace that records need. */
export interface RecordStore {
  get(name: string): Promise<string | null>;
  put(name: string, text: string): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
}

/** What a KV namespace has of it, in the Worker and in Miniflare alike. */
interface Namespace {
  get(name: string, type: "text"): Promise<string | null>;
  put(name: string, text: string): Promise<void>;
  list(options: { prefix: string; cursor?: string }): Promise<{ keys: { name: string }[]; list_complete: boolean; cursor?: string }>;
}

export function recordsIn(namespace: Namespace): RecordStore {
  return {
    get: (name) => namespace.get(name, "text"),
    put: (name, text) => namespace.put(name, text),
    async list(prefix) {
      const names: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await namespace.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
        names.push(...page.keys.map((key) => key.name));
        cursor = page.list_complete ? undefined : page.cursor;
      } while (cursor !== undefined);
      return names;
    },
  };
}

export interface NewKey {
  readonly consumer: string;
  readonly plan: string;
  readonly name?: string;
  readonly expiresAt?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface StoredKey {
  readonly keyId: string;
  readonly record: KeyRecord;
}

export type KeyChange = { readonly plan: string } | { readonly disabled: boolean } | { readonly metadata: Record<string, unknown> };

/** Long enough to be unique, short enough to type: what `list` shows and changes accept. */
export const SHORT_ID_LENGTH = 12;

/** @returns the key itself, which is stored nowhere, beside its record */
export async function createKeyRecord(
  store: RecordStore,
  wanted: NewKey,
  nowMs: number,
  key = createKey(),
): Promise<StoredKey & { key: string }> {
  const keyId = await hashKey(key);
  const record: KeyRecord = { ...definedOnly(wanted), version: 1, createdAt: new Date(nowMs).toISOString() };
  await store.put(keyName(keyId), JSON.stringify(record));
  return { key, keyId, record };
}

export async function listKeyRecords(store: RecordStore): Promise<StoredKey[]> {
  const prefix = keyName("");
  const names = await store.list(prefix);
  const stored = await Promise.all(
    names.map(async (name) => {
      const record = parseKeyRecord((await store.get(name)) ?? "");
      return record ? [{ keyId: name.slice(prefix.length), record }] : [];
    }),
  );
  return stored.flat();
}

/**
 * @param id a key's id, or the beginning of it
 * @returns the changed record, or why there is none: no key begins with `id`, or several do
 */
export async function changeKeyRecord(store: RecordStore, id: string, change: KeyChange): Promise<StoredKey | "unknown" | "ambiguous"> {
  const names = await store.list(keyName(id));
  if (names.length > 1) return "ambiguous";
  const [name] = names;
  const known = name === undefined ? null : parseKeyRecord((await store.get(name)) ?? "");
  if (name === undefined || known === null) return "unknown";
  const record: KeyRecord = { ...known, ...change, version: known.version + 1 };
  await store.put(name, JSON.stringify(record));
  return { keyId: name.slice(keyName("").length), record };
}

function definedOnly(wanted: NewKey): Pick<KeyRecord, "consumer" | "plan"> & Partial<KeyRecord> {
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as unknown as KeyRecord;
}
