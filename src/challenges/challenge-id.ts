/**
 * The id of a challenge: 36 bytes as 48 characters of base64url, a length at which every text is the spelling of other bytes.
 *
 * | bytes | what                                                  |
 * | ----- | ----------------------------------------------------- |
 * | 1     | version of this layout                                |
 * | 4     | id of the signing key                                 |
 * | 1     | difficulty, in bits                                   |
 * | 4     | expiry, in epoch seconds                              |
 * | 4     | the account's solves when it was issued               |
 * | 10    | the consumer's tag                                    |
 * | 4     | the refused call: part of its fingerprint, or 0       |
 * | 2     | what that call costs                                  |
 * | 6     | random: no two challenges are the same                |
 *
 * Numbers are big-endian. Nothing here is secret or trusted: the signature beside the id says whether it is as it was issued.
 */

import { base64url } from "jose";
import { TAG_BYTES } from "./consumer-tag.ts";

const VERSION = 1;
const KEY_AT = 1;
const DIFFICULTY_AT = 5;
const EXPIRY_AT = 6;
const SOLVES_AT = 10;
const TAG_AT = 14;
const CALL_AT = TAG_AT + TAG_BYTES;
const COST_AT = CALL_AT + 4;
const RANDOM_AT = COST_AT + 2;
const MAX_COST = 0xffff;
/** 48 bits beside all the others: of one consumer, one call and one second, two alike are not to be expected. */
export const ID_RANDOM_BYTES = 6;
const ID_BYTES = RANDOM_AT + ID_RANDOM_BYTES;
/** Characters. */
export const ID_LENGTH = (ID_BYTES / 3) * 4;

export interface ChallengeId {
  readonly keyId: number;
  readonly difficulty: number;
  /** Epoch milliseconds; whole seconds are kept. */
  readonly expiresAt: number;
  readonly solves: number;
  readonly consumerTag: Uint8Array;
  readonly call: ChallengedCall;
  readonly random: Uint8Array;
}

/** The call whose refusal the challenge came with: the first of its credit is kept for it. */
export interface ChallengedCall {
  /** 32 bits of its fingerprint; 0 for none. */
  readonly tag: number;
  /** At most 65,535 are kept. */
  readonly cost: number;
}

export const NO_CALL: ChallengedCall = { tag: 0, cost: 0 };

/** @param fingerprint see mcp/fingerprint.ts; 0 for none */
export function callTag(fingerprint: number): number {
  return fingerprint % 2 ** 32;
}

export function encodeId({ keyId, difficulty, expiresAt, solves, consumerTag, call, random }: ChallengeId): string {
  const bytes = new Uint8Array(ID_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint32(KEY_AT, keyId);
  view.setUint8(DIFFICULTY_AT, difficulty);
  view.setUint32(EXPIRY_AT, expiresAt / 1_000);
  view.setUint32(SOLVES_AT, solves);
  bytes.set(consumerTag, TAG_AT);
  view.setUint32(CALL_AT, call.tag);
  view.setUint16(COST_AT, Math.min(call.cost, MAX_COST));
  bytes.set(random, RANDOM_AT);
  return base64url.encode(bytes);
}

/**
 * @param id `ID_LENGTH` characters of base64url
 * @returns null for another version than this gate writes
 */
export function decodeId(id: string): ChallengeId | null {
  const bytes = base64url.decode(id);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== VERSION) return null;
  return {
    keyId: view.getUint32(KEY_AT),
    difficulty: view.getUint8(DIFFICULTY_AT),
    expiresAt: view.getUint32(EXPIRY_AT) * 1_000,
    solves: view.getUint32(SOLVES_AT),
    consumerTag: bytes.subarray(TAG_AT, CALL_AT),
    call: { tag: view.getUint32(CALL_AT), cost: view.getUint16(COST_AT) },
    random: bytes.subarray(RANDOM_AT),
  };
}
