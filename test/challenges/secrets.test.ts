import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MIN_SECRET_LENGTH, openSecrets } from "../../src/challenges/secrets.ts";
import { derivedKey, keysOf, NEXT_SECRET, SECRET } from "./keys.ts";

async function signed(key: CryptoKey): Promise<string> {
  return Buffer.from(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode("text"))).toString("hex");
}

describe("the signing keys", () => {
  test("are HKDF of the secret, another for each use", async () => {
    const { current } = await keysOf(SECRET);
    expect(current.id).toBe(derivedKey(SECRET, "key id", 4).readUInt32BE());
    const uses = [
      [current.pow, "pow"],
      [current.pass, "pass"],
      [current.tag, "consumer tag"],
      [current.macaroon, "macaroon"],
    ] as const;
    for (const [key, use] of uses) {
      expect(await signed(key)).toBe(
        createHmac("sha256", derivedKey(SECRET, use, 32))
          .update("text")
          .digest("hex"),
      );
    }
  });

  test("cannot be taken out again", async () => {
    const { current } = await keysOf(SECRET);
    for (const key of [current.pow, current.pass, current.tag, current.macaroon]) {
      expect(key.extractable).toBe(false);
      await expect(crypto.subtle.exportKey("raw", key)).rejects.toThrow();
    }
  });

  test("of one secret are the same each time, and derived once", async () => {
    const keys = await keysOf(SECRET, NEXT_SECRET);
    expect(await keysOf(SECRET, NEXT_SECRET)).toBe(keys);
    const { current } = keys;
    await keysOf(NEXT_SECRET);
    expect((await keysOf(SECRET, NEXT_SECRET)).current.id).toBe(current.id);
    expect((await keysOf(SECRET)).current.id).toBe(current.id);
  });

  test("are those of the current secret, and for accepting those of the previous one too", async () => {
    const keys = await keysOf(NEXT_SECRET, SECRET);
    const [next] = (await keysOf(NEXT_SECRET)).accepted;
    const [first] = (await keysOf(SECRET)).accepted;
    expect(keys.current.id).toBe(next!.id);
    expect(keys.accepted.map((key) => key.id)).toEqual([next!.id, first!.id]);
    expect(next!.id).not.toBe(first!.id);
  });

  test("are one key when both texts are the same, or there is no previous one", async () => {
    expect((await keysOf(SECRET, SECRET)).accepted).toHaveLength(1);
    expect((await keysOf(SECRET, "")).accepted).toHaveLength(1);
    expect((await keysOf(SECRET)).accepted).toHaveLength(1);
  });

  test("do not depend on the end of the line that some tools store with a secret", async () => {
    expect((await keysOf(` ${SECRET}\r\n`)).current.id).toBe((await keysOf(SECRET)).current.id);
  });

  test("are not made of a secret that is missing or could be guessed, and it is told which", async () => {
    const short = "x".repeat(MIN_SECRET_LENGTH - 1);
    expect(await openSecrets(undefined, undefined)).toEqual({ ok: false, why: "missing" });
    expect(await openSecrets(" \n", SECRET)).toEqual({ ok: false, why: "missing" });
    expect(await openSecrets(short, SECRET)).toEqual({ ok: false, why: "too-short" });
    expect(await openSecrets(`${short}   `, undefined)).toEqual({ ok: false, why: "too-short" });
    expect(await openSecrets(SECRET, short)).toEqual({ ok: false, why: "previous-too-short" });
    expect(await openSecrets(`${short}x`, undefined)).toMatchObject({ ok: true });
  });
});
