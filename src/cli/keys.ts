/** `turnpike keys`: makes, lists and changes API keys, wherever they are kept. */

import type { StoredKey } from "../consumers/key-records.ts";
import { SHORT_ID_LENGTH } from "../consumers/key-records.ts";
import { type KeyPlace, openKeyPlace, type PlaceOptions } from "./key-places.ts";

type Options = PlaceOptions & { readonly json?: boolean };

export interface CreateOptions extends Options {
  readonly consumer: string;
  readonly plan: string;
  readonly name?: string;
  readonly expires?: string;
  readonly metadata?: Record<string, unknown>;
}

export async function createKeyCommand(options: CreateOptions): Promise<void> {
  const { consumer, plan, name, expires, metadata } = options;
  const wanted = {
    consumer,
    plan,
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expiresAt: expires }),
    ...(metadata === undefined ? {} : { metadata }),
  };
  const made = await at(options, (place) => place.create(wanted));
  if (options.json) return print(made);
  console.log(`${made.key}\n\nThis is the key of ${consumer} on plan ${plan}. It is shown this once; its id is ${short(made)}.`);
}

export async function listKeysCommand(options: Options): Promise<void> {
  const keys = await at(options, (place) => place.list());
  if (options.json) return print(keys);
  if (keys.length === 0)
    return console.log("There are no keys yet. Make one with: npx turnpike keys create --consumer <owner> --plan <plan>");
  const rows = keys.map((stored) => [short(stored), stored.record.consumer, stored.record.plan, stateOf(stored), stored.record.name ?? ""]);
  const table = [["ID", "CONSUMER", "PLAN", "STATE", "NAME"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
}

export async function setPlanCommand(id: string, plan: string, options: Options): Promise<void> {
  report(await at(options, (place) => place.change(id, { plan })), options, (key) => `is now on plan ${key.record.plan}`);
}

export async function disableKeyCommand(id: string, options: Options): Promise<void> {
  report(await at(options, (place) => place.change(id, { disabled: true })), options, () => "is disabled");
}

export async function enableKeyCommand(id: string, options: Options): Promise<void> {
  report(await at(options, (place) => place.change(id, { disabled: false })), options, () => "works again");
}

async function at<T>(options: Options, action: (place: KeyPlace) => Promise<T>): Promise<T> {
  const place = await openKeyPlace(options);
  try {
    return await action(place);
  } finally {
    await place.close();
  }
}

function report(stored: StoredKey, options: Options, say: (stored: StoredKey) => string): void {
  if (options.json) print(stored);
  else console.log(`Key ${short(stored)} of ${stored.record.consumer} ${say(stored)}.`);
}

function print(value: unknown): void {
  console.log(JSON.stringify(value));
}

function short({ keyId }: StoredKey): string {
  return keyId.slice(0, SHORT_ID_LENGTH);
}

function stateOf({ record }: StoredKey): string {
  if (record.disabled) return "disabled";
  return record.expiresAt !== undefined && Date.parse(record.expiresAt) <= Date.now() ? "expired" : "active";
}
