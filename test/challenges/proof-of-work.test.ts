import { createHash, createHmac } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { NO_CALL } from "../../src/challenges/challenge-id.ts";
import { CHALLENGE_LIFE_MS, CHALLENGE_RANDOM_BYTES, issueChallenge } from "../../src/challenges/proof-of-work.ts";
import {
  challengeFor,
  checkSolution,
  derivedKey,
  fail,
  keysOf,
  NEXT_SECRET,
  NOW,
  SECRET,
  solve,
  VERIFY,
  withOtherCharacter,
  zeroBits,
} from "./keys.ts";

const CONSUMER = "key:acme";
const PARTS = ["id", "salt", "nonce", "signature"] as const;

const consumers = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 40 }).map((owner) => `key:${owner}`),
  fc.ipV4().map((address) => `addr:${address}`),
  fc.tuple(fc.webUrl(), fc.string({ maxLength: 300 })).map(([issuer, subject]) => `jwt:${issuer}:${subject}`),
);

/** Of the right form every other time. */
function anyText(length: number): fc.Arbitrary<string> {
  const right = fc.string({ unit: fc.constantFrom("A", "B", "x", "0", "9", "-", "_"), minLength: length, maxLength: length });
  return fc.oneof(fc.string({ unit: "binary", maxLength: 80 }), right);
}

describe("a challenge", () => {
  test("solved by a client that knows only what is written about it is good for the consumer it was issued to", async () => {
    const keys = await keysOf(SECRET);
    await fc.assert(
      fc.asyncProperty(
        consumers,
        fc.integer({ min: 1, max: 9 }),
        fc.nat(2 ** 32 - 1),
        fc.integer({ min: NOW, max: NOW + 10 ** 11 }),
        fc.integer({ min: 0, max: CHALLENGE_LIFE_MS - 1 }),
        fc.uint8Array({ minLength: CHALLENGE_RANDOM_BYTES, maxLength: CHALLENGE_RANDOM_BYTES }),
        fc.record({ tag: fc.nat(2 ** 32 - 1), cost: fc.nat(2 ** 16 - 1) }),
        async (consumer, difficulty, solves, now, later, random, call) => {
          const challenge = await issueChallenge({ consumer, difficulty, solves, call, verify: VERIFY }, keys, random, now);
          const expiresAt = Math.ceil((now + CHALLENGE_LIFE_MS) / 1_000) * 1_000;
          expect(challenge).toMatchObject({ type: "pow", algorithm: "SHA-256", difficulty, verify: VERIFY });
          expect(Date.parse(challenge.expiresAt)).toBe(expiresAt);
          const check = await checkSolution(solve(challenge), consumer, keys, now + later);
          expect(check).toEqual({ ok: true, id: challenge.id, difficulty, solvesAtIssue: solves, call, expiresAt });
        },
      ),
      { numRuns: 200 },
    );
  });

  test("is laid out and signed as documented, to the byte", async () => {
    const random = Buffer.from(Array.from({ length: CHALLENGE_RANDOM_BYTES }, (_, i) => 200 + i));
    const order = { consumer: CONSUMER, difficulty: 18, solves: 3, call: { tag: 0xdeadbeef, cost: 513 }, verify: VERIFY };
    const bytes = Buffer.alloc(36);
    bytes.writeUInt8(1, 0);
    bytes.set(derivedKey(SECRET, "key id", 4), 1);
    bytes.writeUInt8(18, 5);
    bytes.writeUInt32BE((NOW + CHALLENGE_LIFE_MS) / 1_000, 6);
    bytes.writeUInt32BE(3, 10);
    bytes.set(
      createHmac("sha256", derivedKey(SECRET, "consumer tag", 32))
        .update(CONSUMER)
        .digest()
        .subarray(0, 10),
      14,
    );
    bytes.set([0xde, 0xad, 0xbe, 0xef, 2, 1], 24);
    bytes.set(random.subarray(0, 6), 30);
    const id = bytes.toString("base64url");
    const salt = random.subarray(6).toString("base64url");
    const signature = createHmac("sha256", derivedKey(SECRET, "pow", 32))
      .update(`${id}.${salt}`)
      .digest("base64url");
    expect(await issueChallenge(order, await keysOf(SECRET), random, NOW)).toEqual({
      type: "pow",
      algorithm: "SHA-256",
      id,
      salt,
      difficulty: 18,
      expiresAt: "2026-11-21T12:05:00Z",
      signature,
      verify: VERIFY,
    });
  });

  test("leaves a nonce of 33 characters room in the one block of SHA-256", async () => {
    const { salt } = await challengeFor();
    expect(salt.length + 33 + 9).toBe(64);
  });

  test("is never the same twice, nor is its salt", async () => {
    const challenges = await Promise.all(Array.from({ length: 1_000 }, () => challengeFor()));
    expect(new Set(challenges.map(({ id }) => id)).size).toBe(1_000);
    expect(new Set(challenges.map(({ salt }) => salt)).size).toBe(1_000);
  });

  test("for a consumer that comes again costs one signature", async () => {
    const sign = vi.spyOn(crypto.subtle, "sign");
    try {
      const [first, again] = [await challengeFor({ consumer: "key:again" }), await challengeFor({ consumer: "key:again" })];
      expect(sign).toHaveBeenCalledTimes(3);
      await checkSolution(solve(first), "key:again", await keysOf(SECRET), NOW);
      await checkSolution(solve(again), "key:again", await keysOf(SECRET), NOW);
      expect(sign).toHaveBeenCalledTimes(3);
    } finally {
      sign.mockRestore();
    }
  });

  test("without enough randomness is not made at all", async () => {
    const keys = await keysOf(SECRET);
    const order = { consumer: CONSUMER, difficulty: 4, solves: 0, call: NO_CALL, verify: VERIFY };
    await expect(issueChallenge(order, keys, new Uint8Array(CHALLENGE_RANDOM_BYTES - 1), NOW)).rejects.toThrow(RangeError);
  });

  test("tells neither the secret nor whose it is, not even to those who guess", async () => {
    const consumer = "addr:192.0.2.7";
    const challenge = await challengeFor({ consumer });
    const told = [JSON.stringify(challenge), ...[challenge.id, challenge.salt, challenge.signature].map(hexOf)].join("\n");
    const guesses = [consumer, "192.0.2.7", SECRET, SECRET.slice(0, 12)];
    for (const guess of guesses) {
      expect(told).not.toContain(guess);
      expect(told).not.toContain(Buffer.from(guess).toString("hex"));
      // A plain hash would be found by trying all addresses: eight hex digits of any would tell.
      for (const algorithm of ["sha256", "sha1", "md5"]) {
        expect(told).not.toContain(createHash(algorithm).update(guess).digest("hex").slice(0, 8));
      }
    }
  });
});

describe("a solution", () => {
  test("counts the zero bits exactly: with one less it is refused, with more it is good", async () => {
    const keys = await keysOf(SECRET);
    for (let difficulty = 1; difficulty <= 10; difficulty++) {
      const challenge = await challengeFor({ difficulty });
      const seen = new Set<boolean>();
      for (let i = 0; i < 4_000 && seen.size < 2; i++) {
        const nonce = String(i);
        const bits = zeroBits(challenge.salt + nonce);
        if (bits !== difficulty - 1 && bits < difficulty) continue;
        const { id, salt, signature } = challenge;
        const check = await checkSolution({ id, salt, nonce, signature }, CONSUMER, keys, NOW);
        expect(check.ok).toBe(bits >= difficulty);
        seen.add(check.ok);
      }
    }
  });

  test("may be of any nonce of visible characters", async () => {
    const keys = await keysOf(SECRET);
    const challenge = await challengeFor({ difficulty: 0 });
    const { id, salt, signature } = challenge;
    for (const nonce of ["0", "0x1f", "a b", "~".repeat(64), '"\\']) {
      expect(await checkSolution({ id, salt, nonce, signature }, CONSUMER, keys, NOW)).toMatchObject({ ok: true });
    }
  });

  test("that does not solve it is told so", async () => {
    const keys = await keysOf(SECRET);
    expect(await checkSolution(fail(await challengeFor()), CONSUMER, keys, NOW)).toEqual({ ok: false, why: "wrong-nonce" });
  });

  test("that comes when the challenge has expired is told so, and not a moment before", async () => {
    const keys = await keysOf(SECRET);
    const challenge = await challengeFor();
    const solution = solve(challenge);
    const expiresAt = Date.parse(challenge.expiresAt);
    expect(await checkSolution(solution, CONSUMER, keys, expiresAt - 1)).toMatchObject({ ok: true, expiresAt });
    expect(await checkSolution(solution, CONSUMER, keys, expiresAt)).toEqual({ ok: false, why: "expired" });
  });

  test("of another consumer is told so, whoever asks", async () => {
    const keys = await keysOf(SECRET);
    await fc.assert(
      fc.asyncProperty(consumers, consumers, async (owner, other) => {
        fc.pre(owner.toWellFormed() !== other.toWellFormed());
        const solution = solve(await challengeFor({ consumer: owner }));
        expect(await checkSolution(solution, other, keys, NOW)).toEqual({ ok: false, why: "foreign" });
        expect(await checkSolution(solution, owner, keys, NOW)).toMatchObject({ ok: true });
      }),
      { numRuns: 100 },
    );
  });

  test("with any character of id, salt or signature exchanged is never good", async () => {
    const keys = await keysOf(SECRET);
    const solution = solve(await challengeFor({ difficulty: 1 }));
    for (const part of ["id", "salt", "signature"] as const) {
      for (let at = 0; at < solution[part].length; at++) {
        const altered = { ...solution, [part]: withOtherCharacter(solution[part], at) };
        const check = await checkSolution(altered, CONSUMER, keys, NOW);
        // The last character of a signature has two bits that mean nothing: the challenge is still the same one.
        if (check.ok) expect([part, at, check.id]).toEqual(["signature", solution.signature.length - 1, solution.id]);
        else expect(["altered", ...(part === "id" ? ["malformed", "unknown-key"] : [])]).toContain(check.why);
      }
    }
  });

  test("whose difficulty, expiry or count of solves was changed is altered", async () => {
    const keys = await keysOf(SECRET);
    const solution = solve(await challengeFor());
    for (const at of [5, 6, 9, 10, 13, 14, 23, 24, 35]) {
      const bytes = Buffer.from(solution.id, "base64url");
      bytes[at]! ^= 1;
      const altered = { ...solution, id: bytes.toString("base64url") };
      expect(await checkSolution(altered, CONSUMER, keys, NOW)).toEqual({ ok: false, why: "altered" });
    }
  });

  test("put together of two challenges is altered", async () => {
    const keys = await keysOf(SECRET);
    const [one, other] = [solve(await challengeFor()), solve(await challengeFor())];
    for (const part of ["id", "salt", "signature"] as const) {
      expect(await checkSolution({ ...one, [part]: other[part] }, CONSUMER, keys, NOW)).toEqual({ ok: false, why: "altered" });
    }
  });

  test("of a layout that this gate does not write is malformed", async () => {
    const solution = solve(await challengeFor());
    const bytes = Buffer.from(solution.id, "base64url");
    bytes[0] = 2;
    const check = await checkSolution({ ...solution, id: bytes.toString("base64url") }, CONSUMER, await keysOf(SECRET), NOW);
    expect(check).toEqual({ ok: false, why: "malformed", part: "id" });
  });

  test.each(PARTS)("with %s empty, too long, or of other characters is malformed, and it is told where", async (part) => {
    const keys = await keysOf(SECRET);
    const solution = solve(await challengeFor());
    const text = solution[part];
    const wrong = ["", `${text}${"A".repeat(64)}`, "A".repeat(5_000_000), `${text.slice(1)}é`, `${text.slice(1)}\n`, `${text.slice(1)}\0`];
    if (part !== "nonce") wrong.push(text.slice(1), `${text}=`, `${text}\n`, `${text.slice(1)}+`, `${text.slice(1)} `);
    for (const value of wrong) {
      const check = await checkSolution({ ...solution, [part]: value }, CONSUMER, keys, NOW);
      expect(check).toEqual({ ok: false, why: "malformed", part });
    }
  });

  test("made up of anything at all is told what is wrong with it, and nothing is thrown", async () => {
    const keys = await keysOf(SECRET);
    const solutions = fc.record({ id: anyText(48), salt: anyText(22), nonce: anyText(5), signature: anyText(43) });
    await fc.assert(
      fc.asyncProperty(solutions, async (solution) => {
        expect(await checkSolution(solution, CONSUMER, keys, NOW)).toMatchObject({ ok: false });
      }),
      { numRuns: 500 },
    );
  });

  test("refused for whatever reason leaves the challenge as good as it was", async () => {
    const keys = await keysOf(SECRET);
    const challenge = await challengeFor();
    const solution = solve(challenge);
    await checkSolution(fail(challenge), CONSUMER, keys, NOW);
    await checkSolution(solution, "key:other", keys, NOW);
    await checkSolution({ ...solution, signature: withOtherCharacter(solution.signature, 0) }, CONSUMER, keys, NOW);
    expect(await checkSolution(solution, CONSUMER, keys, NOW)).toMatchObject({ ok: true });
  });
});

describe("when the secret is changed", () => {
  test("what the previous one signed is still good, and what the one before that signed is told apart from what was altered", async () => {
    const solution = solve(await challengeFor({}, await keysOf(SECRET)));
    expect(await checkSolution(solution, CONSUMER, await keysOf(NEXT_SECRET, SECRET), NOW)).toMatchObject({ ok: true });
    expect(await checkSolution(solution, CONSUMER, await keysOf(NEXT_SECRET), NOW)).toEqual({ ok: false, why: "unknown-key" });
  });

  test("what the previous one signed is still refused to others, and still expires", async () => {
    const solution = solve(await challengeFor({}, await keysOf(SECRET)));
    const keys = await keysOf(NEXT_SECRET, SECRET);
    expect(await checkSolution(solution, "key:other", keys, NOW)).toEqual({ ok: false, why: "foreign" });
    expect(await checkSolution(solution, CONSUMER, keys, NOW + CHALLENGE_LIFE_MS)).toEqual({ ok: false, why: "expired" });
  });

  test("nothing new is signed with the previous one", async () => {
    const solution = solve(await challengeFor({}, await keysOf(NEXT_SECRET, SECRET)));
    expect(await checkSolution(solution, CONSUMER, await keysOf(NEXT_SECRET), NOW)).toMatchObject({ ok: true });
    expect(await checkSolution(solution, CONSUMER, await keysOf(SECRET), NOW)).toEqual({ ok: false, why: "unknown-key" });
  });
});

function hexOf(base64url: string): string {
  return Buffer.from(base64url, "base64url").toString("hex");
}
