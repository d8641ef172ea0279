#!/usr/bin/env node
/** The `turnpike` command. Each command has its own file; here they are only named and their options read. */

import { Command, InvalidArgumentError } from "commander";
import { CHECK_HELP, checkCommand } from "./check.ts";
import { createKeyCommand, disableKeyCommand, enableKeyCommand, listKeysCommand, setPlanCommand } from "./keys.ts";
import { CliError, packageVersion } from "./package.ts";
import { startCommand } from "./start.ts";

const DEFAULT_PORT = 8787;
const DEFAULT_STATE = ".turnpike";

const program = new Command("turnpike")
  .description("The gate in front of an MCP server: plans, limits and refusals that agents can act on.")
  .version(packageVersion())
  .showHelpAfterError()
  .configureHelp({ showGlobalOptions: true });

program
  .command("start")
  .description("Run the gate on this machine, in front of an MCP server of yours or of the embedded one.")
  .option("--origin <url>", "the MCP server behind the gate, such as http://127.0.0.1:3001/mcp (default: an embedded one)", httpUrl)
  .option("--port <n>", "the port to listen on at 127.0.0.1; 0 for any that is free", portNumber, DEFAULT_PORT)
  .option("--state <dir>", "where keys, counts and secrets are kept", DEFAULT_STATE)
  .option("--policy <file>", "the policy file (default: the four plans of the README)")
  .option("--json", "print one line of JSON when ready, and nothing else on stdout")
  .action(startCommand);

program
  .command("check")
  .description("Check a policy, and say in words what each plan means, or what a request would be charged. Needs no server.")
  .option("--policy <file>", "the policy file (default: the four plans of the README)")
  .option("--request <file>", "say what this request would be charged; - for stdin")
  .option("--plan <name>", "look at this plan only (default: every plan)")
  .option("--json", "print one line of JSON")
  .addHelpText("after", CHECK_HELP)
  .action(checkCommand);

const keys = program.command("keys").description("Make and change API keys: in the local state, or on the deployed gate.");
for (const command of [
  keys
    .command("create")
    .description("Make a key. It is shown once.")
    .requiredOption("--consumer <owner>", "whose key it is; keys of one owner share its limits")
    .requiredOption("--plan <plan>", "a plan of the policy")
    .option("--name <name>", "a note to tell keys apart")
    .option("--expires <time>", "when it stops working, such as 2027-01-31", isoTime)
    .option("--metadata <json>", "an object for the policy's limitsFor function", jsonObject)
    .action(createKeyCommand),
  keys.command("list").description("List the keys, without the keys themselves.").action(listKeysCommand),
  keys
    .command("set-plan")
    .description("Put a key on another plan, without a redeploy.")
    .argument("<id>", "the key's id from `keys list`, or the beginning of it", keyId)
    .argument("<plan>", "a plan of the policy")
    .action(setPlanCommand),
  keys
    .command("disable")
    .description("Stop a key from working.")
    .argument("<id>", "the key's id, or the beginning of it", keyId)
    .action(disableKeyCommand),
  keys
    .command("enable")
    .description("Let a disabled key work again.")
    .argument("<id>", "the key's id, or the beginning of it", keyId)
    .action(enableKeyCommand),
]) {
  command
    .option("--state <dir>", "the local state folder", DEFAULT_STATE)
    .option("--remote", "on the deployed KV namespace, through wrangler; holds everywhere within a minute or so")
    .option("--url <url>", "on a running gate, through its admin API and TURNPIKE_ADMIN_TOKEN; holds on the next call", httpUrl)
    .option("--json", "print JSON");
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CliError)) throw error;
  console.error(`turnpike: ${error.message}`);
  process.exitCode = 1;
}

function httpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new InvalidArgumentError("It must be an http(s) URL.");
}

function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port from 0 to 65535.");
}

function keyId(text: string): string {
  if (/^[0-9a-f]{4,64}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be at least four of the id's hexadecimal digits.");
}

function isoTime(text: string): string {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new InvalidArgumentError("It must be a time such as 2027-01-31 or 2027-01-31T12:00:00Z.");
  return new Date(time).toISOString();
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError("It must be a JSON object.");
}
