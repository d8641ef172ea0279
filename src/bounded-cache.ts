/**
 * A map with a bound and a lifetime. Entries live in two generations: when the young one is full it becomes the old one,
 * and what nobody asks for again goes with it. That keeps what is in use at a constant cost per look.
 */
export class BoundedCache<V> {
  #young = new Map<string, Entry<V>>();
  #old = new Map<string, Entry<V>>();
  readonly #maxPerGeneration: number;

  /** @param maxEntries never more than this many are kept */
  constructor(maxEntries: number) {
    this.#maxPerGeneration = Math.max(1, Math.floor(maxEntries / 2));
  }

  /** @param now epoch milliseconds */
  get(key: string, now: number): V | undefined {
    let entry = this.#young.get(key);
    if (!entry) {
      entry = this.#old.get(key);
      if (!entry) return undefined;
      this.#old.delete(key);
      this.#add(key, entry);
    }
    if (now < entry.until) return entry.value;
    this.#young.delete(key);
    return undefined;
  }

  /** @param until epoch milliseconds from which the entry is no longer there */
  set(key: string, value: V, until: number): void {
    this.#old.delete(key);
    this.#add(key, { value, until });
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #add(key: string, entry: Entry<V>): void {
    if (this.#young.size >= this.#maxPerGeneration && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, entry);
  }
}

interface Entry<V> {
  readonly value: V;
  readonly until: number;
}
