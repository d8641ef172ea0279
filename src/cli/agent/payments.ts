/** What the commands of the agent's side may pay, and from which wallet. */

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { LightningNetwork, Preference, TurnpikeFetchOptions } from "../../client/index.ts";
import { CliError } from "../package.ts";
import { openNwcWallet } from "./nwc-wallet.ts";
import { say } from "./options.ts";

export interface PaymentOptions {
  readonly wallet?: string;
  readonly walletFile?: string;
  /** Satoshis, for one call. */
  readonly maxPrice?: number;
  /** Satoshis, for as long as the command runs. */
  readonly budget?: number;
  readonly prefer?: Preference;
  readonly network?: LightningNetwork;
}

export const PREFERENCES: readonly Preference[] = ["cheapest", "pow", "l402"];
export const NETWORKS: readonly LightningNetwork[] = ["bitcoin", "testnet", "signet", "regtest"];

/** Whoever has the address of a wallet can pay with it: in the environment this user alone sees it. */
const WALLET_VARIABLE = "TURNPIKE_WALLET";

/** @param isStdinFree whether the address may be read from stdin */
export async function paymentsFor(options: PaymentOptions, isStdinFree: boolean): Promise<TurnpikeFetchOptions> {
  const { maxPrice, budget, prefer, network } = options;
  const address = await walletAddress(options, isStdinFree);
  if (address === null) {
    if (maxPrice !== undefined || budget !== undefined || (prefer !== undefined && prefer !== "pow"))
      say("there is no wallet, so nothing will be paid");
    return {};
  }
  return {
    wallet: await openNwcWallet(address),
    ...(maxPrice === undefined ? {} : { maxPriceSats: maxPrice }),
    ...(budget === undefined ? {} : { budgetSats: budget }),
    ...(prefer === undefined ? {} : { prefer }),
    ...(network === undefined ? {} : { network }),
  };
}

async function walletAddress({ wallet, walletFile }: PaymentOptions, isStdinFree: boolean): Promise<string | null> {
  if (walletFile === undefined) return wallet ?? (process.env[WALLET_VARIABLE] || null);
  if (wallet !== undefined) throw new CliError("--wallet and --wallet-file are two ways to say the same: give one of them.");
  const address = (await readSecret(walletFile, isStdinFree)).trim();
  if (address === "") throw new CliError(`${walletFile === "-" ? "stdin" : walletFile} is empty: it should hold the wallet's address.`);
  return address;
}

async function readSecret(file: string, isStdinFree: boolean): Promise<string> {
  if (file === "-") {
    if (isStdinFree) return text(process.stdin);
    throw new CliError("stdin is for the host's messages: give a file, or set TURNPIKE_WALLET.");
  }
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(`the wallet's file cannot be read: ${(error as Error).message}`);
  }
}
