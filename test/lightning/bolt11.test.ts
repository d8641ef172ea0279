import { createHash, randomBytes } from "node:crypto";
import { Invoice } from "@getalby/lightning-tools";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodeIdOf, writeBolt11 } from "../../src/cli/local/bolt11.ts";
import { readPrefix } from "../../src/lightning/bolt11-prefix.ts";
import { decodeBolt11 } from "../support/bolt11.ts";

const hash = (): Uint8Array => randomBytes(32);

const parts = fc.record({
  sats: fc.integer({ min: 1, max: 10_000_000 }),
  description: fc.string({ unit: "grapheme", maxLength: 40 }),
  timestamp: fc.integer({ min: 1_700_000_000, max: 2 ** 34 }),
  expirySeconds: fc.integer({ min: 1, max: 365 * 86_400 }),
});

describe("an invoice of the embedded node", () => {
  test("is read by decoders of others as what it was written for, and signed by the node", () => {
    fc.assert(
      fc.property(parts, (some) => {
        const nodeKey = hash();
        const paymentHash = hash();
        const invoice = writeBolt11({ ...some, paymentHash, paymentSecret: hash() }, nodeKey);
        expect(decodeBolt11(invoice)).toEqual({
          prefix: `lnbcrt${some.sats * 10}n`,
          amountMsat: some.sats * 1_000,
          paymentHash: Buffer.from(paymentHash).toString("hex"),
          description: some.description,
          timestamp: some.timestamp,
          expirySeconds: some.expirySeconds,
          signedBy: Buffer.from(nodeIdOf(nodeKey)).toString("hex"),
        });
        expect(readPrefix(invoice)).toEqual({ network: "bcrt", amountMsat: some.sats * 1_000 });
      }),
      { numRuns: 50 },
    );
  });

  test("is read by a payer's library, which takes its preimage as the proof and no other", () => {
    const preimage = randomBytes(32);
    const paymentHash = createHash("sha256").update(preimage).digest();
    const pr = writeBolt11(
      { sats: 30, paymentHash, paymentSecret: hash(), description: "x", timestamp: 1_800_000_000, expirySeconds: 600 },
      hash(),
    );
    const invoice = new Invoice({ pr });
    expect(invoice).toMatchObject({ satoshi: 30, paymentHash: paymentHash.toString("hex"), expiry: 600 });
    expect(invoice.validatePreimage(preimage.toString("hex"))).toBe(true);
    expect(invoice.validatePreimage("00".repeat(32))).toBe(false);
  });
});

describe("the prefix of an invoice", () => {
  const DATA = "q".repeat(200);
  test.each([
    ["lnbc300n", { network: "bc", amountMsat: 30_000 }],
    ["lnbc2500u", { network: "bc", amountMsat: 250_000_000 }],
    ["lnbc20m", { network: "bc", amountMsat: 2_000_000_000 }],
    ["lnbc2", { network: "bc", amountMsat: 200_000_000_000 }],
    ["lnbc11", { network: "bc", amountMsat: 1_100_000_000_000 }],
    ["lnbc", { network: "bc", amountMsat: null }],
    ["lnbc9678785340p", { network: "bc", amountMsat: 967_878_534 }],
    ["lnbc25p", { network: "bc", amountMsat: null }],
    ["lntb10u", { network: "tb", amountMsat: 1_000_000 }],
    ["lntbs10u", { network: "tbs", amountMsat: 1_000_000 }],
    ["lnbcrt10u", { network: "bcrt", amountMsat: 1_000_000 }],
  ])("%s tells network and amount", (prefix, told) => {
    expect(readPrefix(`${prefix}1${DATA}`)).toEqual(told);
  });

  test.each(["", "lnbc300n1", "LNBC300N1", "lnxx300n1", "lno1qq", "lightning:lnbc300n1", "lnbc-300n1", "lnbc3.5n1"])(
    "%s is none",
    (prefix) => {
      expect(readPrefix(prefix + (prefix === "lnbc300n1" ? "" : DATA))).toBeNull();
    },
  );

  test("is not looked for in a text that is too long, or cannot stand in a header", () => {
    expect(readPrefix(`lnbc300n1${"q".repeat(10_000)}`)).toBeNull();
    expect(readPrefix(`lnbc300n1${DATA}"\r\nX: y`)).toBeNull();
    expect(readPrefix(`lnbc300n1${DATA}\n`)).toBeNull();
  });
});
