/** Whether a wallet's answer proves that an invoice is paid. */

const PREIMAGE = /^[0-9a-f]{64}$/i;

/**
 * Whether SHA-256 of the preimage is the payment hash, both in hexadecimal digits. Pages without TLS have no Web Crypto: there any
 * preimage that looks like one is taken, and the gate is the one to tell.
 */
export async function isPreimageOf(preimage: unknown, paymentHash: string): Promise<boolean> {
  if (typeof preimage !== "string" || !PREIMAGE.test(preimage)) return false;
  const { crypto } = globalThis as { crypto?: { subtle?: SubtleCrypto } };
  if (!crypto?.subtle) return true;
  const bytes = Uint8Array.from(preimage.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("") === paymentHash;
}
