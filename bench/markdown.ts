/** Tables of a report: the first column is words, the others are numbers. */

export function table(head: readonly string[], lines: readonly string[]): string {
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...lines].join("\n");
}

export function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
