/** The gate and the embedded origin on Miniflare: real workerd, real sockets, state on disk. */

import { connect, createServer } from "node:net";
import type { Miniflare, MiniflareOptions, V4MiniflareOptions } from "miniflare";
import { recordsIn, type RecordStore } from "../../consumers/key-records.ts";
import { CliError, importOptional } from "../package.ts";
import type { LocalState, Secrets } from "./state.ts";

const HOST = "127.0.0.1";
const COMPATIBILITY_DATE = "2026-10-23";
/** As in wrangler.toml. */
const COMPATIBILITY_FLAGS = ["enable_request_signal", "no_nodejs_compat", "no_nodejs_compat_v2"];
/** Names what is on disk: with another, every key and count would be somewhere else. */
const KV_ID = "turnpike-keys";
const CONSUMERS_UNIQUE_KEY = "turnpike-consumers";
const ORIGIN_QUOTAS_UNIQUE_KEY = "turnpike-origin-quotas";
const CONNECT_WITHIN_MS = 5_000;

/** The binding by which the embedded origin is reached. */
export const EMBEDDED_BINDING = "EMBEDDED_ORIGIN";

export interface GateScripts {
  readonly gate: string;
  readonly embeddedOrigin: string | null;
}

export async function runGate(
  scripts: GateScripts,
  secrets: Secrets,
  state: LocalState,
  port: number,
  onLog: (line: string) => void,
): Promise<Miniflare> {
  const { Miniflare } = await loadMiniflare();
  const worker = {
    name: "gate",
    modules: true,
    script: scripts.gate,
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: COMPATIBILITY_FLAGS,
    bindings: {
      ADMIN_TOKEN: secrets.adminToken,
      ORIGIN_SIGNING_SECRET: secrets.originSigningSecret,
      CHALLENGE_SECRET: secrets.challengeSecret,
      LIGHTNING_SECRET: secrets.lightningSecret,
    },
    kvNamespaces: { KEYS: KV_ID },
    durableObjects: {
      CONSUMERS: { className: "Consumer", useSQLite: true, unsafeUniqueKey: CONSUMERS_UNIQUE_KEY },
      ORIGIN_QUOTAS: { className: "OriginQuota", useSQLite: true, unsafeUniqueKey: ORIGIN_QUOTAS_UNIQUE_KEY },
    },
    ...(scripts.embeddedOrigin === null ? {} : { serviceBindings: { [EMBEDDED_BINDING]: "embedded-origin" } }),
  };
  const origin = scripts.embeddedOrigin && {
    name: "embedded-origin",
    modules: true,
    script: scripts.embeddedOrigin,
    compatibilityDate: COMPATIBILITY_DATE,
  };
  const miniflare = new Miniflare(
    await options(state, {
      host: HOST,
      port,
      handleStructuredLogs: ({ message }) => onLog(message),
      workers: [worker, ...(origin ? [origin] : [])],
    }),
  );
  await miniflare.ready;
  return miniflare;
}

/** The key records of a state folder on which no gate is running. */
export async function openRecords(state: LocalState): Promise<{ store: RecordStore; close(): Promise<void> }> {
  const { Miniflare } = await loadMiniflare();
  const script = "export default { fetch: () => new Response(null, { status: 404 }) }";
  const worker = { name: "keys", modules: true, script, compatibilityDate: COMPATIBILITY_DATE, kvNamespaces: { KEYS: KV_ID } };
  const miniflare = new Miniflare(await options(state, { host: HOST, port: 0, workers: [worker] }));
  return { store: recordsIn(await miniflare.getKVNamespace("KEYS")), close: () => miniflare.dispose() };
}

/** @throws CliError when something else listens there */
export async function checkPortIsFree(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "is in use" : `cannot be used (${error.code})`;
      reject(new CliError(`port ${port} on ${HOST} ${why}. Choose another with --port, or --port 0 for any.`));
    });
    server.listen(port, HOST, () => server.close(() => resolve()));
  });
}

/** @throws CliError when nothing accepts a connection there */
export async function checkOriginAnswers(origin: URL): Promise<void> {
  const port = Number(origin.port) || (origin.protocol === "https:" ? 443 : 80);
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: origin.hostname.replace(/^\[|\]$/g, ""), port });
    const fail = (why: string): void => {
      socket.destroy();
      reject(new CliError(`the origin ${origin.href} does not answer (${why}). Is the MCP server running?`));
    };
    socket.setTimeout(CONNECT_WITHIN_MS, () => fail(`no connection within ${CONNECT_WITHIN_MS / 1_000} seconds`));
    socket.once("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}

async function options(state: LocalState, v4: V4MiniflareOptions): Promise<MiniflareOptions> {
  const { convertV4MiniflareOptions } = await loadMiniflare();
  // `cf: false`: request.cf would otherwise be fetched from the network.
  return { ...convertV4MiniflareOptions({ ...v4, cf: false }), resourcePersistencePath: state.dataDir };
}

function loadMiniflare(): Promise<typeof import("miniflare")> {
  return importOptional("miniflare", () => import("miniflare"));
}
