/**
 * What makes two calls the same call: method, name, arguments, and what answers a question of the server's. Never the
 * id (every client counts from 0) and never `_meta` (progress tokens and trace ids differ each time).
 *
 * Not cryptographic on purpose: a fingerprint is compared only with other calls of the same consumer, who could only
 * trip its own loop breaker by finding a collision. 53 bits, so that it travels and is stored as a number.
 */

type Params = Readonly<Record<string, unknown>>;

/** @returns an integer from 1 to 2^53 - 1. Key order and white space do not matter; array order does. */
export function fingerprint(method: string, params: Params): number {
  const hash = new Hash();
  hash.text(method);
  for (const key of Object.keys(params).toSorted()) {
    if (key === "_meta") continue;
    hash.text(key);
    hash.value(params[key]);
  }
  return hash.digest();
}

/** cyrb53 by bryc (public domain), fed piece by piece. */
class Hash {
  #a = 0xdeadbeef;
  #b = 0x41c6ce57;

  text(text: string): void {
    // The length first: "ab","c" and "a","bc" are not the same.
    this.#unit(text.length);
    for (let i = 0; i < text.length; i++) this.#unit(text.charCodeAt(i));
  }

  value(value: unknown): void {
    if (typeof value === "string") {
      this.#unit(1);
      this.text(value);
    } else if (Array.isArray(value)) {
      this.#unit(2);
      this.#unit(value.length);
      for (const item of value) this.value(item);
    } else if (typeof value === "object" && value !== null) {
      const keys = Object.keys(value).toSorted();
      this.#unit(3);
      this.#unit(keys.length);
      for (const key of keys) {
        this.text(key);
        this.value((value as Params)[key]);
      }
    } else {
      this.#unit(4);
      this.text(String(value));
    }
  }

  #unit(unit: number): void {
    this.#a = Math.imul(this.#a ^ unit, 0x9e3779b1);
    this.#b = Math.imul(this.#b ^ unit, 0x5f356495);
  }

  digest(): number {
    let a = Math.imul(this.#a ^ (this.#a >>> 16), 0x85ebca77);
    a ^= Math.imul(this.#b ^ (this.#b >>> 13), 0xc2b2ae3d);
    let b = Math.imul(this.#b ^ (this.#b >>> 16), 0x85ebca77);
    b ^= Math.imul(a ^ (a >>> 13), 0xc2b2ae3d);
    return 2 ** 32 * (b & 0x1fffff) + (a >>> 0) || 1;
  }
}
