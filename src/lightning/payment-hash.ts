/** A payment hash as nodes write it in JSON: 64 hexadecimal digits in lower case. */

const PAYMENT_HASH = /^[\da-f]{64}$/;

export function isPaymentHash(value: unknown): value is string {
  return typeof value === "string" && PAYMENT_HASH.test(value);
}
