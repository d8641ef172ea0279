/** From a policy file to a Worker that can be run here: checked first, then bundled with the gate. */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { BuildOptions, Message } from "esbuild";
import { findProblems } from "../../check-policy.ts";
import { type Policy, PolicyError } from "../../define-policy.ts";
import type { LightningPolicy } from "../../selling/lightning-policy.ts";
import { CliError, importOptional, modulePath } from "../package.ts";

/** What differs between the policy file and the gate that runs here. */
export interface LocalOverrides {
  readonly origin: Policy["origin"];
  readonly allowedHosts: readonly string[];
  readonly lightning: LightningPolicy;
}

/** As small as on Cloudflare: Miniflare and workerd each read all of it before they are ready. */
const FOR_WORKERD: BuildOptions = { conditions: ["workerd", "worker", "browser"], minify: true };

/** Before the package itself, whose name is the beginning of this one. */
const SELLING = { "mcp-turnpike/lightning": modulePath("selling/lightning") };

/** The policy file of `--policy`, or the one that comes with the package. */
export function policyPath(file: string | undefined): string {
  if (file === undefined) return modulePath("policy");
  const path = resolve(file);
  if (!existsSync(path)) throw new CliError(`the policy file ${file} does not exist.`);
  return path;
}

/** @throws CliError with all that is wrong with the policy, each with its path; its cause is then the PolicyError */
export async function loadPolicy(path: string): Promise<Policy> {
  const code = await bundle({
    entryPoints: [path],
    platform: "node",
    alias: { ...SELLING, "mcp-turnpike": modulePath("define-policy") },
  });
  let policy: unknown;
  try {
    const module = (await import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`)) as { default?: unknown };
    policy = module.default;
  } catch (error) {
    throw new CliError(`the policy file ${path} fails when it is run: ${(error as Error).message}`);
  }
  if (policy === undefined)
    throw new CliError(`the policy file ${path} has no default export. End it with: export default definePolicy({ … })`);
  const problems = findProblems(policy as Policy);
  if (problems.length === 0) return policy as Policy;
  const cause = new PolicyError(problems);
  throw new CliError(`${path}: ${cause.message}`, { cause });
}

/** The gate with this policy, as one ES module. */
export async function bundleGate(path: string, { lightning: sells, ...others }: LocalOverrides): Promise<string> {
  const contents = `
    import { createGateway } from ${JSON.stringify(modulePath("index"))};
    import { lightning } from ${JSON.stringify(modulePath("selling/lightning"))};
    import policy from ${JSON.stringify(path)};
    export { Consumer, OriginQuota } from ${JSON.stringify(modulePath("index"))};
    export default createGateway({ ...policy, ...${JSON.stringify(others)}, lightning: lightning(${JSON.stringify(sells)}) });
  `;
  return bundle({
    stdin: { contents, resolveDir: process.cwd(), loader: "ts" },
    alias: { ...SELLING, "mcp-turnpike": modulePath("index") },
    external: ["cloudflare:workers"],
    ...FOR_WORKERD,
  });
}

/** The embedded origin: bundled here in a checkout, and when the package is made for everybody else. */
export async function bundleEmbeddedOrigin(): Promise<string> {
  const path = modulePath("cli/local/embedded-origin");
  if (path.endsWith(".js")) return readFileSync(path, "utf8");
  return bundle({ entryPoints: [path], ...FOR_WORKERD });
}

/** For who goes on running: esbuild's service process would run for as long. */
export async function stopBundler(): Promise<void> {
  const { stop } = await import("esbuild");
  await stop();
}

async function bundle(options: BuildOptions): Promise<string> {
  const esbuild = await importOptional("esbuild", () => import("esbuild"));
  try {
    const built = await esbuild.build({ ...options, bundle: true, format: "esm", target: "es2024", write: false, logLevel: "silent" });
    return built.outputFiles[0]!.text;
  } catch (error) {
    const errors = (error as { errors?: Message[] }).errors;
    if (!errors) throw error;
    const lines = errors.map(({ text, location }) => (location ? `${location.file}:${location.line}:${location.column}: ${text}` : text));
    throw new CliError(lines.join("\n"));
  }
}
