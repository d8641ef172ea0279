/**
 * A Nostr relay (NIP-01) on 127.0.0.1, and a wallet behind it that speaks Nostr Wallet Connect (NIP-47): enough to be paid through
 * by a real client of that protocol, with its signatures and its encryption. The relay keeps events and hands them to
 * whoever has asked for such; the wallet's side is the official SDK's own.
 */

import { NWCWalletService, NWCWalletServiceKeyPair, type NWCWalletServiceRequestHandler } from "@getalby/sdk/nwc";
import { schnorr } from "@noble/curves/secp256k1.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { Wallet } from "../../src/client/index.ts";

export const NOTICE = "this relay is a stand-in";
/** NIP-47: what the client asks of the wallet. */
const REQUEST_KIND = 23_194;

interface NostrEvent {
  readonly id: string;
  readonly kind: number;
  readonly pubkey: string;
  readonly tags: readonly (readonly string[])[];
}

interface Filter {
  readonly ids?: readonly string[];
  readonly kinds?: readonly number[];
  readonly authors?: readonly string[];
  readonly [tag: `#${string}`]: readonly string[];
}

export interface NwcWallet {
  /** The address to connect to it, with its secret. */
  readonly address: string;
  readonly secret: string;
  stop(): Promise<void>;
}

/** @param wallet what pays in the end; it may answer with an error of NIP-47 instead */
export async function startNwcWallet(
  wallet: Wallet,
  fail: () => { readonly code: string; readonly message: string } | null = () => null,
): Promise<NwcWallet> {
  const relay = await startRelay();
  const walletSecret = randomBytes(32).toString("hex");
  const secret = randomBytes(32).toString("hex");
  const keys = new NWCWalletServiceKeyPair(walletSecret, publicKeyOf(secret));
  const service = new NWCWalletService({ relayUrls: [relay.url] });
  const handler: NWCWalletServiceRequestHandler = {
    async payInvoice({ invoice }) {
      const error = fail();
      if (error) return { result: undefined, error };
      const { preimage } = await wallet.payInvoice(invoice);
      return { result: { preimage, fees_paid: 0 }, error: undefined };
    },
  };
  await service.publishWalletServiceInfoEvent(walletSecret, ["pay_invoice"], []);
  const unsubscribe = await service.subscribe(keys, handler);
  return {
    address: `nostr+walletconnect://${keys.walletPubkey}?relay=${encodeURIComponent(relay.url)}&secret=${secret}`,
    secret,
    async stop() {
      unsubscribe();
      service.close();
      await relay.stop();
    },
  };
}

async function startRelay(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise((resolve) => server.once("listening", resolve));
  const events: NostrEvent[] = [];
  const subscriptions = new Map<WebSocket, Map<string, readonly Filter[]>>();
  server.on("connection", (socket) => {
    const own = new Map<string, readonly Filter[]>();
    subscriptions.set(socket, own);
    const send = (message: unknown): void => socket.send(JSON.stringify(message));
    socket.on("close", () => subscriptions.delete(socket));
    socket.on("message", (data: Buffer) => {
      const [verb, ...rest] = JSON.parse(data.toString()) as [string, ...unknown[]];
      if (verb === "EVENT") {
        const event = rest[0] as NostrEvent;
        events.push(event);
        // A relay says what it likes, and a client passes it on to whoever reads its log.
        if (event.kind === REQUEST_KIND) send(["NOTICE", NOTICE]);
        send(["OK", event.id, true, ""]);
        for (const [other, filtersOf] of subscriptions)
          for (const [name, filters] of filtersOf)
            if (filters.some((filter) => matches(event, filter))) other.send(JSON.stringify(["EVENT", name, event]));
      } else if (verb === "REQ") {
        const [name, ...filters] = rest as [string, ...Filter[]];
        own.set(name, filters);
        for (const event of events) if (filters.some((filter) => matches(event, filter))) send(["EVENT", name, event]);
        send(["EOSE", name]);
      } else if (verb === "CLOSE") own.delete(rest[0] as string);
    });
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function matches(event: NostrEvent, { ids, kinds, authors, ...tags }: Filter): boolean {
  if (ids && !ids.includes(event.id)) return false;
  if (kinds && !kinds.includes(event.kind)) return false;
  if (authors && !authors.includes(event.pubkey)) return false;
  return Object.entries(tags)
    .filter(([name]) => name.startsWith("#"))
    .every(([name, values]) => event.tags.some(([tag, value]) => `#${tag}` === name && (values as string[]).includes(value ?? "")));
}

/** Of a secret key, both in hexadecimal digits. */
function publicKeyOf(secret: string): string {
  return bytesToHex(schnorr.getPublicKey(Buffer.from(secret, "hex")));
}
