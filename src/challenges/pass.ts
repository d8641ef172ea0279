/**
 * The pass: five minutes in which whoever shows it spends a credit, from any client and any address. A JSON Web Token (RFC
 * 7519, HS256) behind a prefix. It says whose account the credit is on, and so does not hide that from its holder; it
 * identifies nobody. That calls are left is for the account to say: the number in a pass is the number it was issued with.
 */

import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from "jose";
import * as v from "valibot";
import { findKey, type SigningKeys } from "./secrets.ts";

/**
 * Tells a pass from every other bearer without verifying anything: the gate's API keys start with `tp_`, which this
 * does not, and a JSON Web Token starts with `ey`.
 */
export const PASS_PREFIX = "tpass_";
export const PASS_LIFE_MS = 300_000;
/** A consumer id can hold the subject of a token of 16,384 characters; the rest of a pass is some 400. */
const MAX_PASS_LENGTH = 20_480;

const ALGORITHM = "HS256";
const ISSUER = "turnpike";
const AUDIENCE = "turnpike/pass";

export interface Pass {
  /** The consumer id of the account that the credit is on. */
  readonly consumer: string;
  /** That consumer's plan when the pass was issued: for a backend to know. */
  readonly plan: string;
  readonly creditId: string;
  /** What the credit was good for when the pass was issued. */
  readonly calls: number;
  /** Epoch milliseconds, a whole second. */
  readonly expiresAt: number;
}

export type PassReading =
  | { readonly ok: true; readonly pass: Pass }
  | {
      readonly ok: false;
      /** `unknown-key`: signed with a secret that is not, or no longer, in use. */
      readonly why: "malformed" | "unknown-key" | "altered" | "expired";
    };

const claimsSchema = v.object({
  sub: v.string(),
  plan: v.string(),
  jti: v.string(),
  calls: v.pipe(v.number(), v.integer(), v.minValue(0)),
  exp: v.pipe(v.number(), v.integer()),
});
const KID = /^[\da-f]{8}$/;

/**
 * A pass for a credit: good for five minutes, or as long as the credit where that is less.
 * @param credit `expiresAt` in epoch milliseconds
 * @param now epoch milliseconds
 */
export async function signPass(credit: Pass, { current }: SigningKeys, now: number): Promise<{ token: string; expiresAt: number }> {
  const expiresAtS = Math.floor(Math.min(credit.expiresAt, now + PASS_LIFE_MS) / 1_000);
  const token = await new SignJWT({ calls: credit.calls, plan: credit.plan })
    .setProtectedHeader({ alg: ALGORITHM, kid: current.id.toString(16).padStart(8, "0") })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(credit.consumer)
    .setJti(credit.creditId)
    .setExpirationTime(expiresAtS)
    .sign(current.pass);
  return { token: PASS_PREFIX + token, expiresAt: expiresAtS * 1_000 };
}

/** Whether a bearer is meant as a pass, good or not: it is then this gate's to judge, and nobody else's to see. */
export function looksLikePass(token: string): boolean {
  return token.startsWith(PASS_PREFIX);
}

/** @param now epoch milliseconds */
export async function readPass(token: string, keys: SigningKeys, now: number): Promise<PassReading> {
  if (!looksLikePass(token) || token.length > MAX_PASS_LENGTH) return { ok: false, why: "malformed" };
  const jwt = token.slice(PASS_PREFIX.length);
  const keyId = keyIdOf(jwt);
  if (keyId === null) return { ok: false, why: "malformed" };
  const key = findKey(keys, keyId);
  if (!key) return { ok: false, why: "unknown-key" };
  try {
    const { payload } = await jwtVerify(jwt, key.pass, {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: AUDIENCE,
      currentDate: new Date(now),
    });
    const claims = v.safeParse(claimsSchema, payload);
    if (!claims.success) return { ok: false, why: "malformed" };
    const { sub, plan, jti, calls, exp } = claims.output;
    return { ok: true, pass: { consumer: sub, plan, creditId: jti, calls, expiresAt: exp * 1_000 } };
  } catch (error) {
    return { ok: false, why: whyNot(error) };
  }
}

function keyIdOf(jwt: string): number | null {
  try {
    const { kid } = decodeProtectedHeader(jwt);
    return kid !== undefined && KID.test(kid) ? Number.parseInt(kid, 16) : null;
  } catch {
    return null;
  }
}

function whyNot(error: unknown): "malformed" | "altered" | "expired" {
  if (error instanceof errors.JWTExpired) return "expired";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "altered";
  if (error instanceof errors.JOSEError) return "malformed";
  throw error;
}
