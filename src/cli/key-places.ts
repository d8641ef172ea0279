/** Where keys are kept: the local state, a running gate's admin API, or the deployed namespace through wrangler. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  changeKeyRecord,
  createKeyRecord,
  type KeyChange,
  listKeyRecords,
  type NewKey,
  type RecordStore,
  type StoredKey,
} from "../consumers/key-records.ts";
import { openRecords } from "./local/run-gate.ts";
import { LocalState } from "./local/state.ts";
import { CliError } from "./package.ts";

export interface PlaceOptions {
  readonly state: string;
  readonly remote?: boolean;
  readonly url?: URL;
}

export interface KeyPlace {
  create(wanted: NewKey): Promise<StoredKey & { readonly key: string }>;
  list(): Promise<StoredKey[]>;
  change(id: string, change: KeyChange): Promise<StoredKey>;
  close(): Promise<void>;
}

export async function openKeyPlace(options: PlaceOptions): Promise<KeyPlace> {
  if (options.remote && options.url) throw new CliError("--remote and --url are two ways to the deployed gate: give one of them.");
  if (options.remote) return storePlace(wranglerStore(["--remote"]), () => Promise.resolve());
  if (options.url) {
    const token = process.env["TURNPIKE_ADMIN_TOKEN"];
    if (!token) throw new CliError("--url needs the gate's admin token in the environment variable TURNPIKE_ADMIN_TOKEN.");
    return adminPlace(new URL("/turnpike/", options.url).href.replace(/\/$/, ""), token);
  }
  const state = new LocalState(options.state);
  const running = await state.running();
  if (running) return adminPlace(running.url, running.adminToken);
  const records = await openRecords(state);
  return storePlace(records.store, () => records.close());
}

function storePlace(store: RecordStore, close: () => Promise<void>): KeyPlace {
  return {
    create: (wanted) => createKeyRecord(store, wanted, Date.now()),
    list: () => listKeyRecords(store),
    async change(id, change) {
      const changed = await changeKeyRecord(store, id, change);
      if (changed === "unknown") throw new CliError(`no key's id begins with "${id}". List them with: turnpike keys list`);
      if (changed === "ambiguous") throw new CliError(`several keys' ids begin with "${id}". Give more of it.`);
      return changed;
    },
    close,
  };
}

/** @param base the gate's own endpoints, such as http://127.0.0.1:8787/turnpike */
export function adminPlace(base: string, token: string): KeyPlace {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    let response: Response;
    try {
      response = await fetch(`${base}/admin/keys${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new CliError(`the gate at ${base} does not answer: ${String((error as Error).cause ?? error)}`);
    }
    const answer = (await response.json().catch(() => ({}))) as T & { detail?: string };
    if (!response.ok) throw new CliError(`the gate at ${base} answered ${response.status}: ${answer.detail ?? "no reason given"}`);
    return answer;
  };
  return {
    create: (wanted) => call("POST", "", wanted),
    list: async () => (await call<{ keys: StoredKey[] }>("GET", "")).keys,
    change: (id, change) => call("PATCH", `/${encodeURIComponent(id)}`, change),
    close: async () => {},
  };
}

/** @param where `--remote`, or `--local` with wrangler's own options for it */
export function wranglerStore(where: readonly string[]): RecordStore {
  const run = promisify(execFile);
  const wrangler = async (...args: string[]): Promise<string> => {
    try {
      const { stdout } = await run("npx", ["--no-install", "wrangler", "kv", "key", ...args, "--binding", "KEYS", ...where], {
        env: { ...process.env, WRANGLER_HIDE_BANNER: "true", WRANGLER_SEND_METRICS: "false" },
      });
      return stdout;
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new CliError(
        `wrangler could not do it. Run it where wrangler.toml is, signed in (npx wrangler login).\n${stderr?.trim() || message}`,
      );
    }
  };
  return {
    async get(name) {
      const text = await wrangler("get", name, "--text").catch((error: Error) => {
        if (/not found/i.test(error.message)) return null;
        throw error;
      });
      return text === null || /^Value not found/i.test(text) ? null : text.trim();
    },
    async put(name, text) {
      await wrangler("put", name, text);
    },
    async list(prefix) {
      const keys = JSON.parse(await wrangler("list", "--prefix", prefix)) as { name: string }[];
      return keys.map((key) => key.name);
    },
  };
}
