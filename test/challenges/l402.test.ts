import { createHash, createHmac, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkCredential, type CredentialCheck, L402_RANDOM_BYTES, type L402Order, mintL402 } from "../../src/challenges/l402.ts";
import { derivedKey, keysOf, NEXT_SECRET, NOW, SECRET, withOtherCharacter } from "./keys.ts";
import { importMacaroon, newMacaroon } from "./macaroon-package.ts";

const PREIMAGE = "0b".repeat(32);
const PAYMENT_HASH = sha256(PREIMAGE);
const DAY_MS = 86_400_000;
const INVOICE = { paymentHash: PAYMENT_HASH, expiresAt: NOW + 600_000 };
const RANDOM = new Uint8Array(L402_RANDOM_BYTES).fill(5);
const ACCOUNT = "ac".repeat(32);
const ORDER: L402Order = {
  account: ACCOUNT,
  isForHolder: false,
  plan: "pro",
  network: "bc",
  calls: 10,
  lifeMs: 30 * DAY_MS,
  invoice: INVOICE,
};
/** A day after the invoice, and what is bought lasts from then on at the latest. */
const REDEEM_BY = NOW + 600_000 + DAY_MS;
const VALID_UNTIL = REDEEM_BY + 30 * DAY_MS;

function sha256(hex: string): string {
  return createHash("sha256").update(Buffer.from(hex, "hex")).digest("hex");
}

function hmac(key: string | Buffer, text: string | Uint8Array): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

async function mintOrder(more: Partial<L402Order> = {}): Promise<string> {
  return mintL402({ ...ORDER, ...more }, await keysOf(SECRET), RANDOM);
}

async function check(macaroon: string | readonly string[], preimage = PREIMAGE, now = NOW): Promise<CredentialCheck> {
  return checkCredential({ macaroons: [macaroon].flat(), preimage }, await keysOf(SECRET), now);
}

/** As a holder does it with the library; the library can write one caveat more, see macaroon-package.ts. */
async function withCaveat(...caveats: readonly (string | Uint8Array)[]): Promise<string> {
  return mint([...COMPLETE, ...caveats]);
}

const COMPLETE = [
  "services=turnpike:0",
  `turnpike_consumer=${ACCOUNT}`,
  "turnpike_spent_by=consumer",
  "turnpike_plan=pro",
  "turnpike_network=bc",
  "turnpike_calls=10",
  `turnpike_redeem_by=${REDEEM_BY / 1_000}`,
  `turnpike_valid_until=${VALID_UNTIL / 1_000}`,
];

interface Identifier {
  readonly version?: number;
  readonly keyId?: Buffer;
  readonly length?: number;
}

/** Signed as documented with the gate's secret, and anything in it: a chain of HMACs, written out here once more. */
function mint(
  caveats: readonly (string | Uint8Array)[],
  { version = 0, keyId = derivedKey(SECRET, "key id", 4), length = 66 }: Identifier = {},
) {
  const tokenId = Buffer.concat([keyId, Buffer.from(RANDOM)]);
  const whole = Buffer.concat([Buffer.from([0, version]), Buffer.from(PAYMENT_HASH, "hex"), tokenId, Buffer.alloc(10)]);
  const identifier = whole.subarray(0, length);
  const root = hmac(derivedKey(SECRET, "macaroon", 32), identifier.subarray(34));
  let signature = hmac(hmac("macaroons-key-generator", root), identifier);
  const parts = [Buffer.from([2, 2, identifier.length]), identifier, Buffer.from([0])];
  for (const caveat of caveats) {
    const text = Buffer.from(caveat);
    signature = hmac(signature, text);
    const length = text.length < 0x80 ? [text.length] : [(text.length & 0x7f) | 0x80, text.length >> 7];
    parts.push(Buffer.from([2, ...length]), text, Buffer.from([0]));
  }
  return Buffer.concat([...parts, Buffer.from([0, 6, 32]), signature]).toString("base64");
}

describe("an L402 macaroon", () => {
  test("is base64 that any library reads: identifier, caveats, and a root key of the secret and the token id", async () => {
    const macaroon = await mintOrder();
    expect(macaroon).toMatch(/^[A-Za-z0-9+/]+={0,2}$/);
    expect(macaroon.length % 4).toBe(0);
    const tokenId = Buffer.concat([derivedKey(SECRET, "key id", 4), Buffer.from(RANDOM)]);
    const rootKey = createHmac("sha256", derivedKey(SECRET, "macaroon", 32))
      .update(tokenId)
      .digest();
    const identifier = Buffer.concat([Buffer.from([0, 0]), Buffer.from(PAYMENT_HASH, "hex"), tokenId]);
    const minted = newMacaroon({ identifier, location: "turnpike", rootKey, version: 2 });
    for (const caveat of COMPLETE) minted.addFirstPartyCaveat(caveat);
    expect(importMacaroon(Buffer.from(macaroon, "base64")).exportJSON()).toEqual(minted.exportJSON());
  });

  test("of an account that is an address's says that only its holder spends it", async () => {
    const raw = Buffer.from(await mintOrder({ isForHolder: true }), "base64").toString("latin1");
    expect(raw).toContain("turnpike_spent_by=holder");
    expect(await check(await mintOrder({ isForHolder: true }))).toMatchObject({ ok: true, paid: { isForHolder: true } });
  });

  test("is not made with too little randomness", async () => {
    await expect(mintL402(ORDER, await keysOf(SECRET), new Uint8Array(8))).rejects.toThrow(RangeError);
  });
});

describe("an L402 credential", () => {
  test("that is paid says what was paid for, once, for whom and until when", async () => {
    expect(await check(await mintOrder())).toEqual({
      ok: true,
      paid: {
        paymentHash: PAYMENT_HASH,
        account: ACCOUNT,
        isForHolder: false,
        plan: "pro",
        network: "bc",
        calls: 10,
        redeemBy: REDEEM_BY,
        lifeMs: 30 * DAY_MS,
        rememberUntil: REDEEM_BY,
        validUntil: VALID_UNTIL,
      },
    });
  });

  test("is good for as long as what it has bought can last, and not a moment longer", async () => {
    const macaroon = await mintOrder();
    expect(await check(macaroon, PREIMAGE, VALID_UNTIL - 1)).toMatchObject({ ok: true });
    expect(await check(macaroon, PREIMAGE, VALID_UNTIL)).toEqual({ ok: false, why: "expired" });
  });

  test("with the preimage of another payment, or with the payment hash in its place, is worth nothing", async () => {
    const macaroon = await mintOrder();
    for (const other of [PAYMENT_HASH, "00".repeat(32), randomBytes(32).toString("hex")]) {
      expect(await check(macaroon, other)).toEqual({ ok: false, why: "wrong-preimage" });
    }
  });

  test("takes the preimage in either case, and in base64 as the first text of the protocol has it", async () => {
    const macaroon = await mintOrder();
    const preimage = Buffer.from(PREIMAGE, "hex");
    for (const text of [PREIMAGE.toUpperCase(), preimage.toString("base64"), preimage.toString("base64url")]) {
      expect(await check(macaroon, text)).toMatchObject({ ok: true });
    }
    for (const text of ["", "0b", `${PREIMAGE}0b`, `0x${PREIMAGE}`, "zz".repeat(32), "A".repeat(1_000_000)]) {
      expect(await check(macaroon, text)).toEqual({ ok: false, why: "malformed", part: "preimage" });
    }
  });

  test("takes the macaroon in every spelling of base64", async () => {
    const macaroon = await mintOrder();
    const raw = Buffer.from(macaroon, "base64");
    for (const text of [raw.toString("base64url"), macaroon.replace(/=+$/, "")]) expect(await check(text)).toMatchObject({ ok: true });
  });

  test("survives a rotation of the secret, and the one after it not", async () => {
    const macaroon = await mintOrder();
    const credential = { macaroons: [macaroon], preimage: PREIMAGE };
    const rotated = await checkCredential(credential, await keysOf(NEXT_SECRET, SECRET), NOW);
    expect(rotated).toMatchObject({ ok: true, paid: { account: ACCOUNT } });
    expect(await checkCredential(credential, await keysOf(NEXT_SECRET), NOW)).toEqual({ ok: false, why: "unknown-key" });
  });

  test("with any character exchanged is never good", async () => {
    const macaroon = await mintOrder();
    const location = { from: Math.floor((3 * 4) / 3), to: Math.ceil((11 * 4) / 3) };
    for (let at = 0; at < macaroon.replace(/=+$/, "").length - 1; at++) {
      if (at >= location.from && at < location.to) continue;
      expect(await check(withOtherCharacter(macaroon, at)), `character ${at}`).toMatchObject({ ok: false });
    }
  });

  test("of several macaroons counts by the first that is good, and else says what is wrong with the first", async () => {
    const macaroon = await mintOrder();
    const altered = withOtherCharacter(macaroon, macaroon.length - 10);
    expect(await check([altered, macaroon])).toMatchObject({ ok: true });
    expect(await check([altered, "AAAA"])).toEqual({ ok: false, why: "altered" });
    expect(await check([])).toEqual({ ok: false, why: "malformed", part: "macaroon" });
    expect(await check([...Array.from({ length: 2 }, () => "AAAA"), macaroon])).toEqual({ ok: false, why: "malformed", part: "macaroon" });
  });

  test.each([
    ["of another version", { version: 1 }, "malformed"],
    ["whose identifier is shorter", { length: 65 }, "malformed"],
    ["whose identifier is longer", { length: 67 }, "malformed"],
    ["of a secret that nobody has", { keyId: Buffer.alloc(4) }, "unknown-key"],
  ])("%s is not good, whoever signed it", async (_what, identifier, why) => {
    expect(await check(mint(COMPLETE))).toMatchObject({ ok: true });
    expect(await check(mint(COMPLETE, identifier))).toMatchObject({ ok: false, why });
  });

  test("that is any text at all is told what it is, and nothing is thrown", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.base64String({ maxLength: 400 }))),
        fc.string(),
        async (texts, text) => {
          expect(await check(texts)).toMatchObject({ ok: false });
          expect(await check(texts, text)).toMatchObject({ ok: false });
        },
      ),
    );
    expect(await check("A".repeat(5_000_000))).toEqual({ ok: false, why: "malformed", part: "macaroon" });
  });
});

describe("a caveat that a holder adds", () => {
  test("of others is skipped, whatever it says", async () => {
    const others = ["other_calls=1", "preimage=00", "x", "=", "", "account = 7", Buffer.from([0xff, 0xfe]), "services_x=1", "turnpikes=1"];
    expect(await check(await withCaveat(...others))).toMatchObject({ ok: true, paid: { calls: 10 } });
  });

  test("can only tighten: of all numbers the least counts, in any order", async () => {
    const until = NOW / 1_000 + 60;
    const times = fc.array(fc.integer({ min: until, max: until + 10 ** 7 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 5 }),
        times,
        times,
        async (calls, redeemBy, validUntil) => {
          const added = [
            ...calls.map((n) => `turnpike_calls=${n}`),
            ...redeemBy.map((s) => `turnpike_redeem_by=${s}`),
            ...validUntil.map((s) => `turnpike_valid_until=${s}`),
          ];
          const least = {
            calls: Math.min(10, ...calls),
            redeemBy: Math.min(REDEEM_BY, ...redeemBy.map((s) => s * 1_000)),
            validUntil: Math.min(VALID_UNTIL, ...validUntil.map((s) => s * 1_000)),
          };
          expect(await check(await withCaveat(...added.toReversed()))).toMatchObject({ ok: true, paid: least });
        },
      ),
      { numRuns: 50 },
    );
    expect(await check(await withCaveat(`turnpike_valid_until=${NOW / 1_000}`))).toEqual({ ok: false, why: "expired" });
  });

  test("that is over for handing in leaves it good for what it was handed in for before: the account knows", async () => {
    const late = await check(await withCaveat(`turnpike_redeem_by=${NOW / 1_000 - 1}`));
    expect(late).toMatchObject({ ok: true, paid: { redeemBy: NOW - 1_000, validUntil: VALID_UNTIL } });
  });

  test.each([`turnpike_consumer=${"0b".repeat(32)}`, "turnpike_plan=free", "turnpike_network=bcrt"])(
    "that names another than its account, plan and network, %s, leaves nothing, wherever it stands",
    async (other) => {
      expect(await check(await withCaveat(other))).toEqual({ ok: false, why: "restricted" });
      expect(await check(mint([other, ...COMPLETE]))).toEqual({ ok: false, why: "restricted" });
    },
  );

  test("that says again what stands there changes nothing", async () => {
    expect(await check(await withCaveat(...COMPLETE))).toEqual(await check(mint(COMPLETE)));
  });

  test("leaves it to its holder alone, once and for good", async () => {
    const [holder, consumer] = ["turnpike_spent_by=holder", "turnpike_spent_by=consumer"];
    for (const [added, isForHolder] of [
      [[consumer], false],
      [[holder], true],
      [[holder, consumer], true],
      [[consumer, holder, consumer], true],
    ] as const) {
      expect(await check(await withCaveat(...added))).toMatchObject({ ok: true, paid: { isForHolder } });
    }
  });

  test("that keeps this service among others leaves it good", async () => {
    expect(await check(await withCaveat("services=other:1,turnpike:0"))).toMatchObject({ ok: true });
  });

  test.each([
    "services=other:0",
    "services=turnpike:1",
    "services=turnpike",
    "services=",
    "services",
    "turnpike_calls=0",
    "turnpike_calls=-1",
    "turnpike_calls=1.5",
    "turnpike_calls=1e1",
    "turnpike_calls= 1",
    "turnpike_calls=",
    "turnpike_calls",
    `turnpike_calls=${"9".repeat(16)}`,
    "turnpike_valid_until=tomorrow",
    "turnpike_valid_until=",
    "turnpike_redeem_by=",
    "turnpike_redeem_by=0",
    "turnpike_consumer=acme",
    `turnpike_consumer=${ACCOUNT.slice(1)}`,
    `turnpike_consumer=${ACCOUNT.toUpperCase()}`,
    "turnpike_plan=",
    "turnpike_plan=two words",
    `turnpike_plan=${"x".repeat(41)}`,
    "turnpike_network=",
    "turnpike_network=play money",
    "turnpike_spent_by=",
    "turnpike_spent_by=everybody",
    "turnpike_capabilities=search",
    "turnpike_",
  ])("of ours that cannot be kept, %s, leaves nothing", async (caveat) => {
    expect(await check(await withCaveat(caveat))).toEqual({ ok: false, why: "restricted" });
  });

  test("is not what the gate's own stand in for: each of them must be there", async () => {
    for (const missing of COMPLETE) {
      expect(await check(mint(COMPLETE.filter((caveat) => caveat !== missing)))).toEqual({ ok: false, why: "restricted" });
    }
  });
});
