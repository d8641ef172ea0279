/**
 * A tool of the gate's own: what a model reads of it, and what it does. The result is a union, so that a problem cannot
 * carry structured content: SDK 1.x checks that against the tool's schema also when the call has failed, and throws the
 * whole message away.
 */

export interface GateTool {
  readonly name: string;
  readonly title?: string;
  /** Read by a model: what it is for, when to call it, what to do with the answer. */
  readonly description: string;
  /** JSON Schema 2020-12, of type object. */
  readonly inputSchema: object;
  /** JSON Schema of `data` in the tool's answers. */
  readonly outputSchema?: object;
  readonly annotations?: ToolAnnotations;
  /** Checks its own arguments: what is wrong with them is a problem that names the place. Rejects for faults of the gate only. */
  call(args: Readonly<Record<string, unknown>>): Promise<ToolResult>;
}

/** Hints for those who ask their users before a call (MCP, `ToolAnnotations`). */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint: boolean;
}

export type ToolResult =
  /** `text` must do without `data`: many clients show the model the text alone. */
  { readonly kind: "answer"; readonly text: string; readonly data?: object } | { readonly kind: "problem"; readonly text: string };

/** The tool as `tools/list` has it. */
export function toolEntry({ name, title, description, inputSchema, outputSchema, annotations }: GateTool): object {
  return { name, title, description, inputSchema, outputSchema, annotations };
}

/** The result as `tools/call` has it. The data is there as text as well, for clients without structured content. */
export function callResult(result: ToolResult): Readonly<Record<string, unknown>> {
  if (result.kind === "problem") return { content: [textBlock(result.text)], isError: true };
  const { text, data } = result;
  if (data === undefined) return { content: [textBlock(text)] };
  return { content: [textBlock(text), textBlock(JSON.stringify(data))], structuredContent: data };
}

function textBlock(text: string) {
  return { type: "text", text } as const;
}
