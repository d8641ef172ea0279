/**
 * The search for a nonce: SHA-256(salt + nonce) must begin with `difficulty` zero bits, salt and nonce as UTF-8. Tries are
 * numbered, and a number is a nonce, so that any stretch of them can be searched anywhere.
 *
 * The nonce is laid out so that a try costs less than one compression. It begins with as much filling as puts its last seven
 * characters, which alone differ from try to try, at the start of a word in the second half of the message's last block.
 * All blocks before that one are hashed once, and of that one the rounds that only the first half takes part in. A nonce
 * has at most 54 characters, and with most salts fewer than 30.
 */

import { BLOCK_BYTES, BLOCK_WORDS, compress, firstRounds, firstWordOfHash, type HashState, initialState, SHARED_ROUNDS } from "./sha256.ts";

/** Only the first word of the hash is looked at. Half an hour of two cores is far beyond what any gate should ask. */
export const HARDEST_BITS = 32;
/** Six bits a character. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const FILLING = "A";
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
/** One word of four characters, and three more before the byte that ends the message. */
const HIGH_CHARS = 4;
const LOW_CHARS = 3;
const LOW_TRIES = 64 ** LOW_CHARS;
const COUNTER_CHARS = HIGH_CHARS + LOW_CHARS;
/** 2^42: a thousand times what the hardest proof takes. */
export const MAX_TRIES = 64 ** COUNTER_CHARS;
/** The last two words of a block are the message's length in bits. */
const LAST_COUNTER_WORD = BLOCK_WORDS - 4;
const END_OF_MESSAGE = 0x80;

export interface Found {
  /** Null when no nonce of the stretch solves it. */
  readonly nonce: string | null;
  readonly tries: number;
}

/**
 * Tries the nonces numbered `start` to `start + count` (not included) in order, and stops at the first that solves it.
 * @param difficulty zero bits, 0 to `HARDEST_BITS`
 */
export function searchNonces(salt: string, difficulty: number, start: number, count: number): Found {
  const { state, words, at, filling } = layOut(salt);
  const below = 2 ** (HARDEST_BITS - difficulty);
  const variables = firstRounds(state, words);
  const end = Math.min(start + count, MAX_TRIES);
  let high = -1;
  for (let n = start; n < end; n++) {
    const low = n % LOW_TRIES;
    if (low === 0 || high < 0) {
      high = Math.floor(n / LOW_TRIES);
      words[at] = characters(high);
    }
    words[at + 1] = (CODES[low >>> 12]! << 24) | (CODES[(low >>> 6) & 63]! << 16) | (CODES[low & 63]! << 8) | END_OF_MESSAGE;
    if (firstWordOfHash(state, variables, words) < below) return { nonce: filling + counterText(n), tries: n - start + 1 };
  }
  return { nonce: null, tries: Math.max(0, end - start) };
}

interface Layout {
  /** After the blocks before the last. */
  readonly state: HashState;
  /** The last block, but for the two words of the counter. */
  readonly words: Int32Array;
  /** The first of those two. */
  readonly at: number;
  /** What the nonce begins with. */
  readonly filling: string;
}

function layOut(salt: string): Layout {
  const saltBytes = new TextEncoder().encode(salt);
  const tail = saltBytes.length % BLOCK_BYTES;
  // Past this the counter would not fit beside the length: the filling then ends the block, and the counter has the next.
  const isTailFull = tail > LAST_COUNTER_WORD * 4;
  const at = isTailFull ? SHARED_ROUNDS : Math.max(SHARED_ROUNDS, Math.ceil(tail / 4));
  const filling = FILLING.repeat((isTailFull ? BLOCK_BYTES : 0) + at * 4 - tail);

  const message = new TextEncoder().encode(salt + filling);
  const fullBytes = message.length - (message.length % BLOCK_BYTES);
  let state = initialState();
  for (let offset = 0; offset < fullBytes; offset += BLOCK_BYTES) state = compress(state, wordsOf(message.subarray(offset)));
  const words = wordsOf(message.subarray(fullBytes));
  const bits = (message.length + COUNTER_CHARS) * 8;
  words[BLOCK_WORDS - 2] = Math.floor(bits / 2 ** 32);
  words[BLOCK_WORDS - 1] = bits | 0;
  return { state, words, at, filling };
}

/** The first block of the bytes, or what there is of it and zeros. */
function wordsOf(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(BLOCK_WORDS);
  for (let i = 0; i < BLOCK_BYTES; i++) words[i >>> 2]! |= (bytes[i] ?? 0) << (24 - 8 * (i & 3));
  return words;
}

/** A word of four characters of the counter. */
function characters(high: number): number {
  return (CODES[high >>> 18]! << 24) | (CODES[(high >>> 12) & 63]! << 16) | (CODES[(high >>> 6) & 63]! << 8) | CODES[high & 63]!;
}

function counterText(n: number): string {
  let text = "";
  for (let rest = n, i = 0; i < COUNTER_CHARS; i++, rest = Math.floor(rest / 64)) text = ALPHABET[rest % 64]! + text;
  return text;
}
