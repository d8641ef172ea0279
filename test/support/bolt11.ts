/** Reads an invoice with a decoder that is not ours, and finds out who has signed it. */

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bech32 } from "@scure/base";
import { decode } from "light-bolt11-decoder";

export interface Decoded {
  readonly prefix: string;
  readonly amountMsat: number;
  readonly paymentHash: string;
  readonly description: string;
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly expirySeconds: number;
  /** The public key that the signature belongs to, compressed, hexadecimal. */
  readonly signedBy: string;
}

export function decodeBolt11(invoice: string): Decoded {
  const { sections } = decode(invoice);
  const value = (name: string): unknown => (sections.find((section) => section.name === name) as { value?: unknown } | undefined)?.value;
  return {
    prefix: invoice.slice(0, invoice.lastIndexOf("1")),
    amountMsat: Number(value("amount")),
    paymentHash: String(value("payment_hash")),
    description: String(value("description")),
    timestamp: Number(value("timestamp")),
    expirySeconds: Number(value("expiry")),
    signedBy: signerOf(invoice),
  };
}

/** BOLT11, "Payment Data": 64 bytes of signature and the recovery id, over the prefix and the data before it. */
function signerOf(invoice: string): string {
  const { prefix, words } = bech32.decode(invoice as `${string}1${string}`, false);
  const data = words.slice(0, -104);
  const bits = data.map((word) => word.toString(2).padStart(5, "0")).join("");
  const bytes = (bits + "0".repeat((8 - (bits.length % 8)) % 8)).match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2));
  const signature = bech32.fromWords(words.slice(-104));
  const recovered = Uint8Array.from([signature[64]!, ...signature.subarray(0, 64)]);
  const message = Buffer.concat([Buffer.from(prefix), Buffer.from(bytes)]);
  const key = secp256k1.recoverPublicKey(recovered, message);
  if (!secp256k1.verify(signature.subarray(0, 64), message, key)) throw new Error("the signature is not good");
  return Buffer.from(key).toString("hex");
}
