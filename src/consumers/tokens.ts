/**
 * Bearer tokens of issuers that the policy names: verified with jose against the issuer's published keys (RFC 7519, RFC
 * 7517). A token that was verified is remembered until it expires, for a minute at the most.
 */

import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { BoundedCache } from "../bounded-cache.ts";
import type { JwtIssuer } from "../define-policy.ts";

const MAX_REMEMBERED = 10_000;
const REMEMBERED_MS = 60_000;
const MAX_TOKEN_LENGTH = 16_384;
/** Clocks of issuers are allowed to be this far off. */
const CLOCK_TOLERANCE_S = 30;
const JWKS_TIMEOUT_MS = 3_000;

export type TokenCheck =
  | { readonly kind: "verified"; readonly issuer: string; readonly subject: string; readonly plan: string; readonly claims: JWTPayload }
  /** Of an issuer that the policy names, and not good. */
  | { readonly kind: "invalid" }
  /** The issuer's keys could not be had. */
  | { readonly kind: "unavailable" }
  /** Not a token that this gate verifies. */
  | { readonly kind: "foreign" };

type Verified = TokenCheck & { kind: "verified" };

export class Tokens {
  readonly #issuers: ReadonlyMap<string, { readonly config: JwtIssuer; readonly keys: ReturnType<typeof createRemoteJWKSet> }>;
  readonly #planNames: ReadonlySet<string>;
  readonly #remembered = new BoundedCache<Verified>(MAX_REMEMBERED);

  constructor(issuers: readonly JwtIssuer[], planNames: Iterable<string>) {
    this.#issuers = new Map(
      issuers.map((config) => {
        const url = config.jwksUrl ?? `${config.issuer.replace(/\/$/, "")}/.well-known/jwks.json`;
        return [config.issuer, { config, keys: createRemoteJWKSet(new URL(url), { timeoutDuration: JWKS_TIMEOUT_MS }) }];
      }),
    );
    this.#planNames = new Set(planNames);
  }

  async check(token: string, now: number): Promise<TokenCheck> {
    if (this.#issuers.size === 0 || token.length > MAX_TOKEN_LENGTH) return { kind: "foreign" };
    const remembered = this.#remembered.get(token, now);
    if (remembered) return remembered;
    const issuer = this.#issuers.get(issuerOf(token) ?? "");
    if (!issuer) return { kind: "foreign" };
    const { config, keys } = issuer;
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: config.issuer,
        ...(config.audience === undefined ? {} : { audience: config.audience as string | string[] }),
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(now),
        requiredClaims: ["sub", "exp"],
      });
      const verified: Verified = {
        kind: "verified",
        issuer: config.issuer,
        subject: payload.sub!,
        plan: this.#planOf(payload, config),
        claims: payload,
      };
      this.#remembered.set(token, verified, Math.min(payload.exp! * 1_000, now + REMEMBERED_MS));
      return verified;
    } catch (error) {
      return { kind: isTheTokensFault(error) ? "invalid" : "unavailable" };
    }
  }

  #planOf(payload: JWTPayload, config: JwtIssuer): string {
    const claimed = config.planClaim === undefined ? undefined : payload[config.planClaim];
    return typeof claimed === "string" && this.#planNames.has(claimed) ? claimed : config.plan;
  }
}

function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

function isTheTokensFault(error: unknown): boolean {
  return (
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported
  );
}
