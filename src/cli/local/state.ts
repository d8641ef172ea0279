/** The state folder of a local gate: its secrets and demo keys, its data, and the gate that is running on it, if any. */

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CliError } from "../package.ts";
import type { BookStore } from "./invoice-book.ts";

/** Where commands look for it when nothing else is said. */
export const DEFAULT_STATE = ".turnpike";
const SECRET_BYTES = 32;
/** The owner alone: the file holds keys that work. */
const PRIVATE_MODE = 0o600;
const HEALTH_WITHIN_MS = 2_000;

export interface Secrets {
  readonly adminToken: string;
  readonly originSigningSecret: string;
  readonly challengeSecret: string;
  /** With which the gate asks the embedded Lightning node for invoices. */
  readonly lightningSecret: string;
  /** By plan. */
  readonly demoKeys: Readonly<Record<string, string>>;
}

export interface RunningGate {
  readonly url: string;
  readonly pid: number;
  /** The base of the embedded Lightning node's API. */
  readonly lightning?: string;
}

export class LocalState {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = resolve(dir);
    try {
      mkdirSync(this.dir, { recursive: true });
    } catch (error) {
      throw new CliError(`the state folder ${dir} cannot be made: ${(error as Error).message}`);
    }
  }

  /** Where the key-value namespace and the objects keep their data. */
  get dataDir(): string {
    return join(this.dir, "data");
  }

  /** The same on each start: what there is, and new ones on the first. */
  secrets(): Secrets {
    const created = {
      adminToken: createSecret(),
      originSigningSecret: createSecret(),
      challengeSecret: createSecret(),
      lightningSecret: createSecret(),
      demoKeys: {},
    };
    const secrets = { ...created, ...this.#readSecrets() };
    this.keepSecrets(secrets);
    return secrets;
  }

  keepSecrets(secrets: Secrets): void {
    this.#writePrivate("secrets.json", secrets);
  }

  /** The gate that runs on this folder, when it is still alive. */
  async running(): Promise<(RunningGate & { adminToken: string }) | null> {
    const gate = this.#readJson("running.json") as RunningGate | null;
    const secrets = this.#readSecrets();
    if (!gate || !secrets) return null;
    try {
      process.kill(gate.pid, 0);
      // The number may be another process's by now: a gate is what answers as one.
      const health = await fetch(`${gate.url}/health`, { signal: AbortSignal.timeout(HEALTH_WITHIN_MS) });
      await health.body?.cancel();
      return health.ok ? { ...gate, adminToken: secrets.adminToken } : null;
    } catch {
      return null;
    }
  }

  markRunning(gate: RunningGate): void {
    this.#writePrivate("running.json", gate);
  }

  markStopped(): void {
    rmSync(join(this.dir, "running.json"), { force: true });
  }

  /** What the embedded Lightning node knows: its key, and its invoices with their preimages. */
  get lightningBook(): BookStore {
    return { load: () => this.#readJson("lightning.json"), save: (book) => this.#writePrivate("lightning.json", book) };
  }

  #readSecrets(): Secrets | null {
    return this.#readJson("secrets.json") as Secrets | null;
  }

  #readJson(name: string): unknown {
    const path = join(this.dir, name);
    if (!existsSync(path)) return null;
    try {
      return JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      throw new CliError(`${path} cannot be read: ${(error as Error).message}. Delete it to have it made anew.`);
    }
  }

  #writePrivate(name: string, value: unknown): void {
    const path = join(this.dir, name);
    writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`, { mode: PRIVATE_MODE });
    chmodSync(path, PRIVATE_MODE);
  }
}

function createSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}
