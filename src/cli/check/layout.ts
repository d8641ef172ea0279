/** Sections of labelled lines, for a terminal: labels in a column, what they say beside it. */

/** Without a label, a line goes on with what the one above it is about. */
export type Line = readonly [label: string, text: string];

export interface Section {
  readonly title: string;
  readonly lines: readonly Line[];
}

/** Labels that are longer than this stand on a line of their own: a tool's name may be a hundred characters. */
const MAX_LABEL_CHARS = 24;

export function layOut(sections: readonly Section[]): string {
  const labels = sections.flatMap(({ lines }) => lines.map(([label]) => label.length)).filter((length) => length <= MAX_LABEL_CHARS);
  const width = Math.max(0, ...labels);
  return sections.map((section) => layOutSection(section, width)).join("\n\n");
}

function layOutSection({ title, lines }: Section, width: number): string {
  const isList = lines.every(([label]) => label === "");
  return [title, ...lines.map(([label, text]) => `  ${isList ? text : beside(label, text, width)}`)].join("\n");
}

function beside(label: string, text: string, width: number): string {
  return label.length > width ? `${label}\n  ${" ".repeat(width)}  ${text}` : `${label.padEnd(width)}  ${text}`;
}
