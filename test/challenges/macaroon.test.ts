import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSignedWith, MAX_MACAROON_BYTES, mintMacaroon, parseMacaroon } from "../../src/challenges/macaroon.ts";
import { importMacaroon, newMacaroon, type PackageMacaroon } from "./macaroon-package.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const bytes = (constraints: fc.IntArrayConstraints): fc.Arbitrary<Bytes> => fc.uint8Array(constraints);
const text = fc.string({ unit: "binary", maxLength: 40 }).map((raw) => raw.toWellFormed());
const caveat = text.filter((some) => some.length > 0);

const mintings = fc.record({
  location: text,
  identifier: bytes({ minLength: 1, maxLength: 200 }),
  caveats: fc.array(caveat, { maxLength: 8 }),
  rootKey: bytes({ minLength: 1, maxLength: 80 }),
});

interface Parts {
  readonly location: string;
  readonly identifier: Bytes;
  readonly caveats: readonly string[];
  readonly rootKey: Bytes;
}

function mintWithPackage({ location, identifier, caveats, rootKey }: Parts): PackageMacaroon {
  const minted = newMacaroon({ location, identifier, rootKey, version: 2 });
  for (const some of caveats) minted.addFirstPartyCaveat(some);
  return minted;
}

const ours: Parts = {
  location: "turnpike",
  identifier: new Uint8Array(66).fill(7),
  caveats: ["services=turnpike:0", "turnpike_calls=10"],
  rootKey: new Uint8Array(32).fill(3),
};

function hex(some: string): string {
  return Buffer.from(some).toString("hex");
}

async function good(raw: Bytes, rootKey: Bytes): Promise<boolean> {
  const macaroon = parseMacaroon(raw);
  return macaroon !== null && isSignedWith(macaroon, rootKey);
}

describe("a macaroon minted here", () => {
  test("is byte for byte the one that the package mints, as far as the package can write it", async () => {
    await fc.assert(
      fc.asyncProperty(mintings, async (parts) => {
        const few = { ...parts, caveats: parts.caveats.slice(0, 1) };
        expect(Buffer.from(await mintMacaroon(few, few.rootKey))).toEqual(Buffer.from(mintWithPackage(few).exportBinary()));
      }),
      { numRuns: 60 },
    );
  });

  test("with any number of caveats is read by the package as the one that it mints, signature and all, and verified by it", async () => {
    await fc.assert(
      fc.asyncProperty(mintings, async (parts) => {
        const read = importMacaroon(await mintMacaroon(parts, parts.rootKey));
        expect(read.exportJSON()).toEqual(mintWithPackage(parts).exportJSON());
        const seen: string[] = [];
        const note = (some: string): null => {
          seen.push(some);
          return null;
        };
        read.verify(parts.rootKey, note, []);
        expect(seen).toEqual(parts.caveats);
        expect(() => read.verify(randomBytes(32), note, [])).toThrow();
      }),
      { numRuns: 100 },
    );
  });

  test("has the signatures that the documentation of libmacaroons gives for its example", async () => {
    const rootKey = new TextEncoder().encode("this is our super secret key; only we should know it");
    const identifier = new TextEncoder().encode("we used our secret key");
    const signatures = [
      "e3d9e02908526c4c0039ae15114115d97fdd68bf2ba379b342aaf0f617d0552f",
      "1efe4763f290dbce0c1d08477367e11f4eee456a64933cf662d79772dbb82128",
      "b5f06c8c8ef92f6c82c6ff282cd1f8bd1849301d09a2db634ba182536a611c49",
      "ddf553e46083e55b8d71ab822be3d8fcf21d6bf19c40d617bb9fb438934474b6",
    ];
    const caveats = ["account = 3735928559", "time < 2020-01-01T00:00", "email = alice@example.org"];
    for (const [count, signature] of signatures.entries()) {
      const raw = await mintMacaroon({ location: "http://mybank/", identifier, caveats: caveats.slice(0, count) }, rootKey);
      expect(Buffer.from(parseMacaroon(raw)!.signature).toString("hex")).toBe(signature);
    }
  });

  test("is laid out as documented", async () => {
    const raw = Buffer.from(await mintMacaroon(ours, ours.rootKey)).toString("hex");
    expect(raw.slice(0, -64)).toBe(
      ["02", "0108", hex("turnpike"), "0242", "07".repeat(66), "00", "0213", hex("services=turnpike:0"), "00"].join("") +
        ["0211", hex("turnpike_calls=10"), "00", "00", "0620"].join(""),
    );
  });
});

describe("checking a macaroon", () => {
  test("of the package's is good with its root key, and with no other", async () => {
    await fc.assert(
      fc.asyncProperty(mintings, async (parts) => {
        const raw = new Uint8Array(mintWithPackage({ ...parts, caveats: parts.caveats.slice(0, 2) }).exportBinary());
        expect(await good(raw, parts.rootKey)).toBe(true);
        expect(await good(raw, new Uint8Array(randomBytes(32)))).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  test("to which a holder has added a caveat by the package is good, and the caveat is there", async () => {
    const held = importMacaroon(await mintMacaroon({ ...ours, caveats: [] }, ours.rootKey));
    held.addFirstPartyCaveat("turnpike_calls=1");
    const raw = new Uint8Array(held.exportBinary());
    expect(await good(raw, ours.rootKey)).toBe(true);
    expect(parseMacaroon(raw)!.caveats.map((some) => new TextDecoder().decode(some))).toEqual(["turnpike_calls=1"]);
  });

  test("from which a caveat has been taken, or in which two have changed places, is not good", async () => {
    const { signature } = parseMacaroon(await mintMacaroon(ours, ours.rootKey))!;
    const caveats = ours.caveats.map((some) => new TextEncoder().encode(some));
    const { identifier, rootKey } = ours;
    expect(await isSignedWith({ identifier, caveats, signature }, rootKey)).toBe(true);
    for (const others of [[], caveats.slice(0, 1), caveats.toReversed(), [...caveats, caveats[1]!]]) {
      expect(await isSignedWith({ identifier, caveats: others, signature }, rootKey)).toBe(false);
    }
  });

  test("with any bit of it turned over is never good, but for the location, which is a hint", async () => {
    const raw = await mintMacaroon(ours, ours.rootKey);
    const locationEnd = 3 + "turnpike".length;
    for (let bit = 0; bit < raw.length * 8; bit++) {
      const at = bit >> 3;
      const turned = raw.map((byte, i) => (i === at ? byte ^ (1 << (bit & 7)) : byte));
      expect(await good(turned, ours.rootKey), `bit ${bit}`).toBe(at >= 3 && at < locationEnd);
    }
  });

  test("that is any bytes at all never throws, nor one that ends too early or has something behind its end", async () => {
    const whole = await mintMacaroon(ours, ours.rootKey);
    for (let length = 0; length < whole.length; length++) expect(parseMacaroon(whole.subarray(0, length))).toBeNull();
    expect(parseMacaroon(Uint8Array.from([...whole, 0]))).toBeNull();
    await fc.assert(
      fc.asyncProperty(bytes({ maxLength: 200 }), fc.nat(whole.length), async (noise, at) => {
        const changed = Uint8Array.from([...whole.subarray(0, at), ...noise]);
        if (Buffer.compare(changed, whole) !== 0) expect(await good(changed, ours.rootKey)).toBe(false);
        parseMacaroon(Uint8Array.from([2, ...noise]));
      }),
      { numRuns: 300 },
    );
  });

  test("that asks for a third party's discharge is not read", () => {
    const minted = newMacaroon({ identifier: ours.identifier, location: "", rootKey: ours.rootKey, version: 2 });
    minted.addThirdPartyCaveat(new Uint8Array(24).fill(1), new TextEncoder().encode("who are you"), "https://other.example");
    expect(parseMacaroon(new Uint8Array(minted.exportBinary()))).toBeNull();
  });

  test("is not begun for one that is too large, or has more caveats than anybody needs", async () => {
    const many = (count: number) => mintMacaroon({ ...ours, caveats: Array.from({ length: count }, (_, i) => `x=${i}`) }, ours.rootKey);
    expect(parseMacaroon(await many(32))).not.toBeNull();
    expect(parseMacaroon(await many(33))).toBeNull();
    const long = await mintMacaroon({ ...ours, caveats: ["x".repeat(MAX_MACAROON_BYTES)] }, ours.rootKey);
    expect(parseMacaroon(long)).toBeNull();
    const fits = await mintMacaroon({ ...ours, caveats: ["x".repeat(3_900)] }, ours.rootKey);
    expect(await good(fits, ours.rootKey)).toBe(true);
  });
});
