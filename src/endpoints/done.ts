/** What came of something that a caller asked of the gate itself: the HTTP endpoints and the MCP tools both stand on these. */

export type Done<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly response: Response };

export function failed(response: Response): { readonly ok: false; readonly response: Response } {
  return { ok: false, response };
}
