/** An addition to a text that leaves the rest of it alone. */

export interface Insertion {
  /** The index of the text before which it is put. */
  readonly at: number;
  readonly text: string;
}

/** @param insertions ascending by place */
export function insertAll(text: string, insertions: readonly Insertion[]): string {
  let result = "";
  let from = 0;
  for (const { at, text: added } of insertions) {
    result += text.slice(from, at) + added;
    from = at;
  }
  return result + text.slice(from);
}
