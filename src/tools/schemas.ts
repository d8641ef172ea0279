/**
 * The JSON Schemas of the gate's tools, by hand: a model reads the descriptions, and nothing is gained by carrying a
 * generator. Outputs allow members that are not listed, so that an answer can grow without breaking clients that check it.
 */

/** Far more than the gate issues, and little enough to hash without a thought. */
export const MAX_SOLUTION_CHARS = 1_024;
/** A counter in decimal needs 20 for 64 bits. */
export const MAX_NONCE_CHARS = 128;

/** Far more than a macaroon of the gate's has, also with restrictions added to it. */
export const MAX_MACAROON_CHARS = 8_192;

/** Some clients refuse a schema without `properties`. */
export const NO_INPUT = { type: "object", properties: {}, additionalProperties: false } as const;

export const string = (description: string, maxLength: number) => ({ type: "string", minLength: 1, maxLength, description }) as const;

export const SOLUTION = {
  id: string("The challenge's id, as it was given.", MAX_SOLUTION_CHARS),
  salt: string("The challenge's salt, as it was given.", MAX_SOLUTION_CHARS),
  nonce: string("The text you found, such that SHA-256(salt + nonce) begins with enough zero bits.", MAX_NONCE_CHARS),
  signature: string("The challenge's signature, as it was given.", MAX_SOLUTION_CHARS),
} as const;

export const VERIFY_INPUT = {
  type: "object",
  properties: SOLUTION,
  required: ["id", "salt", "nonce", "signature"],
  additionalProperties: false,
} as const;

export const CHALLENGE_OUTPUT = {
  type: "object",
  properties: {
    type: { const: "pow" },
    algorithm: { const: "SHA-256" },
    id: { type: "string" },
    salt: { type: "string", description: "Put before the nonce when hashing." },
    difficulty: { type: "integer", minimum: 0, description: "How many leading bits of SHA-256(salt + nonce) must be zero." },
    expiresAt: { type: "string", description: "ISO 8601. Hand the solution in before." },
    signature: { type: "string" },
  },
  required: ["type", "algorithm", "id", "salt", "difficulty", "expiresAt", "signature"],
} as const;

export const VERIFY_OUTPUT = {
  type: "object",
  properties: {
    token: { type: "string", description: "Stands for the credit, for a backend that asks for it. The refused call does not need it." },
    calls: { type: "integer", minimum: 0, description: "Prepaid calls that are on your account now." },
    expiresAt: { type: "string", description: "ISO 8601. The token is good until then." },
    callsExpireAt: { type: "string", description: "ISO 8601. The calls are good until then, where that is longer." },
    mustBeShown: { const: true, description: "Only calls that show the token, or the payment, are paid for." },
  },
  required: ["token", "calls", "expiresAt"],
} as const;

const count = (description: string) => ({ type: "integer", minimum: 0, description }) as const;

export const STATUS_OUTPUT = {
  type: "object",
  properties: {
    plan: { type: "string" },
    limits: {
      type: "array",
      description: "The tightest first.",
      items: {
        type: "object",
        properties: {
          name: { type: "string" },
          quota: count("What can be had at once."),
          windowSeconds: count("In which an empty limit is full again."),
          remaining: count("What is left now."),
          resetSeconds: count("Until there is more; 0 when there is nothing to wait for."),
        },
        required: ["name", "quota", "windowSeconds", "remaining", "resetSeconds"],
      },
    },
    credits: count("Prepaid calls left. They are spent when the plan's own rate is empty."),
  },
  required: ["plan", "limits", "credits"],
} as const;
