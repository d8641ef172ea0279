#!/usr/bin/env node
/** The `turnpike` command. Each command has its own file; here they are only named and their options read. */

import { Command, InvalidArgumentError, Option } from "commander";
import { NETWORKS, PREFERENCES } from "./agent/payments.ts";
import { CHECK_HELP, checkCommand } from "./check.ts";
import { connectCommand } from "./connect.ts";
import { createKeyCommand, disableKeyCommand, enableKeyCommand, listKeysCommand, setPlanCommand } from "./keys.ts";
import { CliError, packageVersion } from "./package.ts";
import { DEFAULT_STATE } from "./local/state.ts";
import { payCommand } from "./pay.ts";
import { proxyCommand } from "./proxy.ts";
import { solveCommand } from "./solve.ts";
import { startCommand } from "./start.ts";
import { statusCommand } from "./status.ts";

const DEFAULT_PORT = 8787;
const DEFAULT_PROXY_PORT = 8788;

const program = new Command("turnpike")
  .description("The gate in front of an MCP server: plans, limits and refusals that agents can act on; and the agent's way through it.")
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
  .option("--own-node", "sell by the policy's Lightning node; LIGHTNING_SECRET is its credential (default: an embedded one, play money)")
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

const connect = program
  .command("connect")
  .description(
    "Reach an MCP server behind a gate from a host that starts its servers as commands: a bridge on stdio that waits, or works, where the gate asks for it.",
  )
  .argument("<url>", "the MCP endpoint, such as https://mcp.example.com/mcp", httpUrl)
  .action(connectCommand);
const proxy = program
  .command("proxy")
  .description(
    "The same for clients that only take a URL: an HTTP server on 127.0.0.1. Whoever uses this machine can call through it with your key.",
  )
  .argument("<url>", "the MCP endpoint", httpUrl)
  .option("--port <n>", "the port to listen on at 127.0.0.1; 0 for any that is free", portNumber, DEFAULT_PROXY_PORT)
  .action(proxyCommand);
const solve = program
  .command("solve")
  .description("Solve one proof of work: reads a challenge, or the body of a 402, and prints what the gate wants to see.")
  .option("--challenge <file>", "the file to read (default: stdin)")
  .option("--verify", "send the solution to the gate, and print its answer")
  .action(solveCommand);
program
  .command("pay")
  .description("Pay a Lightning invoice of the gate on this machine, with its embedded node, and print the preimage.")
  .argument("<invoice>", "the invoice of a challenge, lnbcrt…")
  .option("--state <dir>", "the local state folder", DEFAULT_STATE)
  .option("--json", "print one line of JSON")
  .action(payCommand);
const status = program
  .command("status")
  .description("What a gate says of its caller: the plan, what remains of it, prepaid calls.")
  .argument("<url>", "the gate, or an MCP endpoint behind it", httpUrl)
  .option("--json", "print the gate's answer as it is")
  .action(statusCommand);

for (const command of [connect, proxy, solve, status]) {
  command
    .option("--key <key>", "an API key, sent as X-API-Key. Others on this machine can see it there: better set TURNPIKE_KEY")
    .option("--header <line>", 'a header to send as well, such as "Authorization: Bearer …"; may be given several times', headerLine);
}
for (const command of [connect, proxy]) {
  command
    .option("--max-wait <seconds>", "how long the limits may make one call wait, all in all (default: 45)", positiveNumber)
    .option(
      "--wallet <address>",
      "a wallet that may pay, as nostr+walletconnect://… or nwc:…. Others on this machine can see it there: better set TURNPIKE_WALLET",
    )
    .option("--wallet-file <file>", "the file that holds the wallet's address; - for stdin, where that is free")
    .option("--max-price <sats>", "what may be paid at once to get one call on (default: 100)", wholeNumber)
    .option("--budget <sats>", "what may be paid in all while this runs (default: 1000)", wholeNumber)
    .addOption(new Option("--prefer <way>", "which way on to take when several are open (default: cheapest)").choices(PREFERENCES))
    .addOption(new Option("--network <name>", "invoices of other networks are not paid (default: bitcoin)").choices(NETWORKS));
}
for (const command of [connect, proxy, solve]) {
  command.option("--max-difficulty <bits>", "proofs of work that are harder are not begun (default: 22)", wholeNumber);
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

function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("It must be a number from 0.");
}

function wholeNumber(text: string): number {
  const value = positiveNumber(text);
  if (Number.isInteger(value)) return value;
  throw new InvalidArgumentError("It must be a whole number from 0.");
}

type HeaderLine = readonly [name: string, value: string];

function headerLine(text: string, before: readonly HeaderLine[] = []): readonly HeaderLine[] {
  const [, name, value] = /^([!#$%&'*+.^`|~\w-]+):\s*([\x20-\x7e\t]*)$/.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [...before, [name, value]];
  throw new InvalidArgumentError('It must be a header line such as "Name: value".');
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
