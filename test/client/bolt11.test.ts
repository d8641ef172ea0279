import { bech32 } from "@scure/base";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readBolt11 } from "../../src/client/pay/bolt11.ts";
import { InvoiceBook } from "../../src/cli/local/invoice-book.ts";
import { makeAnyInvoice, tagged } from "../support/any-invoice.ts";
import { decodeBolt11 } from "../support/bolt11.ts";

/** Examples of BOLT 11: a cup of coffee within one minute, and a donation of any amount. */
const COFFEE =
  "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh";
const DONATION =
  "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql";
const HASH = "0001020304050607080900010203040506070809000102030405060708090102";

const networks = fc.constantFrom(
  ...([
    ["bc", "bitcoin"],
    ["tb", "testnet"],
    ["tbs", "signet"],
    ["bcrt", "regtest"],
  ] as const),
);
const MSAT_OF_UNIT = { "": 10n ** 11n, m: 10n ** 8n, u: 10n ** 5n, n: 10n ** 2n } as const;

describe("an invoice", () => {
  it("is read as BOLT 11 says", () => {
    expect(readBolt11(COFFEE)).toEqual({
      network: "bitcoin",
      amountMsat: 250_000_000n,
      createdAt: 1_496_314_658_000,
      expiresAt: 1_496_314_718_000,
      paymentHash: HASH,
    });
    expect(readBolt11(DONATION)).toMatchObject({ amountMsat: null, expiresAt: 1_496_318_258_000, paymentHash: HASH });
    expect(readBolt11(COFFEE.toUpperCase())).toEqual(readBolt11(COFFEE));
  });

  it("is read whatever its network, amount and times", () => {
    fc.assert(
      fc.property(
        networks,
        fc.integer({ min: 1, max: 1e9 }),
        fc.constantFrom("", "m", "u", "n" as const),
        fc.integer({ min: 0, max: 2 ** 35 - 1 }),
        fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
        ([network, name], digits, unit, createdAt, expirySeconds) => {
          const made = makeAnyInvoice({
            network,
            amount: `${digits}${unit}`,
            createdAt,
            ...(expirySeconds === undefined ? {} : { expirySeconds }),
          });
          expect(readBolt11(made.invoice)).toEqual({
            network: name,
            amountMsat: BigInt(digits) * MSAT_OF_UNIT[unit as "n"],
            createdAt: createdAt * 1_000,
            expiresAt: (createdAt + (expirySeconds ?? 3_600)) * 1_000,
            paymentHash: made.paymentHash,
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it("of a node, signed and with all its fields, is read as another decoder reads it", () => {
    const book = new InvoiceBook({ load: () => null, save: () => {} });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.string({ maxLength: 100 }), (sats, description) => {
        const { invoice } = book.create({ sats, description, expirySeconds: 600 }, Date.now());
        const { amountMsat, paymentHash, timestamp, expirySeconds } = decodeBolt11(invoice);
        expect(readBolt11(invoice)).toEqual({
          network: "regtest",
          amountMsat: BigInt(amountMsat),
          createdAt: timestamp * 1_000,
          expiresAt: (timestamp + expirySeconds) * 1_000,
          paymentHash,
        });
      }),
      { numRuns: 20 },
    );
  });

  it("is read past fields that it does not know, and a payment hash of the wrong length", () => {
    const moreWords = [...tagged("q", [1, 2, 3]), ...tagged("p", [5]), ...tagged("9", [])];
    const { invoice, paymentHash } = makeAnyInvoice({ amount: "300n", moreWords });
    expect(readBolt11(invoice)).toMatchObject({ amountMsat: 30_000n, paymentHash });
  });

  it("pays thousandths of a satoshi, and no fractions of them", () => {
    expect(readBolt11(makeAnyInvoice({ amount: "10p" }).invoice)?.amountMsat).toBe(1n);
    expect(readBolt11(makeAnyInvoice({ amount: "11p" }).invoice)).toBeNull();
  });
});

describe("what is no invoice", () => {
  it("is one in which a single character is another", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: COFFEE.length - 1 }),
        fc.constantFrom(..."qpzry9x8gf2tvdw0s3jn54khce6mua7l1b".split("")),
        (at, character) => {
          const changed = COFFEE.slice(0, at) + character + COFFEE.slice(at + 1);
          if (changed !== COFFEE) expect(readBolt11(changed)).toBeNull();
        },
      ),
    );
  });

  it.each([
    ["nothing", ""],
    ["in two cases", COFFEE.slice(0, -1) + COFFEE.slice(-1).toUpperCase()],
    ["of another network", makeAnyInvoice({ network: "sb" as "bc", amount: "1u" }).invoice],
    ["with a leading zero", makeAnyInvoice({ amount: "01u" }).invoice],
    ["of more than there is", makeAnyInvoice({ amount: "1".repeat(20) }).invoice],
    ["an address", bech32.encode("bc", bech32.toWords(new Uint8Array(20)))],
    ["without a signature", bech32.encode("lnbc1u", [0, 0, 0, 0, 0, 0, 1], false)],
    [
      "without a payment hash",
      bech32.encode(
        "lnbc1u",
        Array.from({ length: 111 }, () => 0),
        false,
      ),
    ],
    [
      "with a field longer than it is",
      bech32.encode("lnbc1u", [0, 0, 0, 0, 0, 0, 1, 1, 31, 31, ...Array.from({ length: 104 }, () => 0)], false),
    ],
    ["endless", COFFEE + "q".repeat(5_000)],
  ])("is %s", (_, text) => {
    expect(readBolt11(text)).toBeNull();
  });

  it("can be any text without harm", () => {
    fc.assert(fc.property(fc.string(), (text) => void readBolt11(text)));
    fc.assert(fc.property(fc.array(fc.nat({ max: 31 })), (words) => void readBolt11(bech32.encode("lnbc1u", words, false))));
  });
});
