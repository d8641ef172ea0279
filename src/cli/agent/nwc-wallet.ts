/**
 * A wallet over Nostr Wallet Connect (NIP-47): the person's own wallet, reached through a relay, with whatever limits the
 * connection was given there. The code for it comes from `@getalby/sdk`, which is no dependency of the package: it is
 * loaded when a wallet is given.
 */

import { PaymentFailedError, type Wallet } from "../../client/index.ts";
import { CliError, importOptional } from "../package.ts";

/** A wallet says with these that it has not paid, and will not. `INTERNAL` and `OTHER` say nothing of that. */
const NOT_PAID = /^(RATE_LIMITED|NOT_IMPLEMENTED|INSUFFICIENT_BALANCE|QUOTA_EXCEEDED|RESTRICTED|UNAUTHORIZED|PAYMENT_FAILED|NOT_FOUND)$/;
const SCHEME = /^(?:nwc:)?(?:\/\/)?(?:nostr\+?walletconnect:)?(?:\/\/)?/i;

/**
 * Nothing is sent before there is something to pay.
 * @param address `nostr+walletconnect://…` as wallets show it, or `nwc:…`
 */
export async function openNwcWallet(address: string): Promise<Wallet> {
  const sdk = await importOptional("@getalby/sdk", () => import("@getalby/sdk/nwc"), "npm install @getalby/sdk");
  if (typeof globalThis.WebSocket !== "function") throw new CliError("a wallet needs Node 22 or later: this one has no WebSocket.");
  // It tells a relay's notices on stdout, which is for messages alone.
  console.debug = console.error;
  const client = connect(sdk.NWCClient, address);
  return {
    async payInvoice(invoice) {
      try {
        return await client.payInvoice({ invoice });
      } catch (error) {
        const { message } = error as Error;
        // These, and what is none of the protocol's errors, happen before the request is sent.
        const isUnsent = [sdk.Nip47NetworkError, sdk.Nip47UnsupportedEncryptionError].some((kind) => error instanceof kind);
        const isRefused = error instanceof sdk.Nip47WalletError && NOT_PAID.test(error.code);
        if (error instanceof sdk.Nip47Error && !isUnsent && !isRefused) throw error;
        throw new PaymentFailedError(message || "no reason given");
      }
    },
  };
}

function connect(Client: typeof import("@getalby/sdk/nwc").NWCClient, address: string) {
  try {
    const nostrWalletConnectUrl = address.replace(SCHEME, "nostr+walletconnect://");
    return new Client({ nostrWalletConnectUrl, requireSecret: true });
  } catch (error) {
    // What it says names a part of the address, and never the secret.
    throw new CliError(`the wallet's address is none of Nostr Wallet Connect (${(error as Error).message}).`);
  }
}
