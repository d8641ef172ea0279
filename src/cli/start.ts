/** `turnpike start`: a whole gate on this machine, in front of an MCP server of yours or of the embedded one. */

import { hashKey } from "../consumers/api-keys.ts";
import type { Policy } from "../define-policy.ts";
import { addressPlanOf } from "../resolve-policy.ts";
import { adminPlace, type KeyPlace } from "./key-places.ts";
import { bundleEmbeddedOrigin, bundleGate, loadPolicy, policyPath, stopBundler } from "./local/bundle.ts";
import { checkOriginAnswers, checkPortIsFree, EMBEDDED_BINDING, runGate } from "./local/run-gate.ts";
import type { LightningPolicy } from "../selling/lightning-policy.ts";
import { LocalState, type Secrets } from "./local/state.ts";
import { CliError } from "./package.ts";
import { welcome } from "./welcome.ts";

export interface StartOptions {
  readonly origin?: URL;
  readonly port: number;
  readonly state: string;
  readonly policy?: string;
  readonly ownNode?: boolean;
  readonly json?: boolean;
}

/** The host names of this machine: a page that rebinds its own name to 127.0.0.1 is turned away. */
const LOCAL_HOSTS = ["127.0.0.1", "localhost", "[::1]"];

export async function startCommand(options: StartOptions): Promise<void> {
  const path = policyPath(options.policy);
  const policy = await loadPolicy(path);
  const state = new LocalState(options.state);
  if (await state.running())
    throw new CliError(`a gate is already running on the state folder ${options.state}. Choose another with --state.`);
  if (options.origin) await checkOriginAnswers(options.origin);
  if (options.port !== 0) await checkPortIsFree(options.port);

  const origin = options.origin?.href ?? { service: EMBEDDED_BINDING };
  const secrets = state.secrets();
  const node = options.ownNode ? ownNode(policy) : await startNode(policy, state, secrets);
  const [gate, embeddedOrigin] = await Promise.all([
    bundleGate(path, { origin, allowedHosts: LOCAL_HOSTS, lightning: node.policy }),
    options.origin ? null : bundleEmbeddedOrigin(),
  ]);
  await stopBundler();
  const bound = { ...secrets, lightningSecret: node.secret };
  const miniflare = await runGate({ gate, embeddedOrigin }, bound, state, options.port, (line) => console.error(line));

  const url = new URL(policy.mcpPaths?.[0] ?? "/mcp", await miniflare.ready).href;
  const own = new URL(url).origin + (policy.prefix ?? "/turnpike");
  const keys = await findDemoKeys(keyedPlans(policy), secrets, adminPlace(own, secrets.adminToken));
  state.keepSecrets({ ...secrets, demoKeys: { ...secrets.demoKeys, ...keys } });
  state.markRunning({ url: own, pid: process.pid, ...(node.url ? { lightning: node.url } : {}) });
  stopOnSignal(async () => {
    state.markStopped();
    await miniflare.dispose();
    await node.stop();
  });
  const isSellingForPlayMoney = node.url !== undefined && Object.values(policy.plans).some(({ offers }) => offers?.l402);
  const running = { url, keys, origin: options.origin?.href ?? null, isSellingForPlayMoney, state: options.state };
  console.log(options.json ? JSON.stringify({ url, keys }) : welcome(running));
}

/** The Lightning node that the gate sells by. */
interface SellingNode {
  readonly policy: LightningPolicy;
  readonly secret: string;
  /** Where `turnpike pay` finds it; only for the embedded one. */
  readonly url?: string;
  stop(): Promise<void>;
}

/** The embedded node, in this process. The gate may make invoices with it, and only `turnpike pay` may pay them. */
async function startNode(policy: Policy, state: LocalState, { adminToken, lightningSecret: secret }: Secrets): Promise<SellingNode> {
  const { startEmbeddedNode } = await import("./local/embedded-node.ts");
  const node = await startEmbeddedNode({ store: state.lightningBook, password: adminToken, limitedPassword: secret });
  const { url } = node;
  return { policy: { ...policy.lightning?.policy, kind: "phoenixd", url, network: "bcrt" }, secret, url, stop: () => node.stop() };
}

function ownNode({ lightning }: Policy): SellingNode {
  const secret = process.env["LIGHTNING_SECRET"];
  if (!lightning) throw new CliError("--own-node: the policy names no node. Name one under `lightning`, or leave the option out.");
  if (!secret) throw new CliError("--own-node: put the node's credential into the environment variable LIGHTNING_SECRET.");
  return { policy: lightning.policy, secret, stop: () => Promise.resolve() };
}

/** Plans that are for keys: all but those that addresses are on. */
function keyedPlans(policy: Policy): string[] {
  const forAddresses = new Set([addressPlanOf(policy), ...(policy.identity?.addresses?.shared ?? []).map((shared) => shared.plan)]);
  return Object.keys(policy.plans).filter((plan) => !forAddresses.has(plan));
}

/** A key for each plan, the same on each start. One that is there already keeps what `turnpike keys` made of it. */
async function findDemoKeys(plans: readonly string[], secrets: Secrets, place: KeyPlace): Promise<Record<string, string>> {
  const stored = new Set((await place.list()).map(({ keyId }) => keyId));
  const keys: Record<string, string> = {};
  for (const plan of plans) {
    const known = secrets.demoKeys[plan];
    const isStored = known !== undefined && stored.has(await hashKey(known));
    keys[plan] = isStored ? known : (await place.create({ consumer: `demo-${plan}`, plan, name: `demo key for ${plan}` })).key;
  }
  return keys;
}

function stopOnSignal(stop: () => Promise<void>): void {
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Miniflare's own handler ends the process at once, before anything has been put away.
    process.removeAllListeners(signal);
    process.on(signal, () => {
      if (isStopping) return;
      isStopping = true;
      void stop().finally(() => process.exit(0));
    });
  }
}
