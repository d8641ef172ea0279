/** The scheme of L402 in `Authorization`, in any case, and by its former name. */

export const L402_SCHEME = /^\s*(?:L402|LSAT)(?:\s+|$)/i;

/** Whether a value is meant as L402, good or not: it is then the gate's, and nobody else's to see. */
export function looksLikeL402(authorization: string): boolean {
  return L402_SCHEME.test(authorization);
}
