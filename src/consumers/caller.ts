/** Who a call is charged to. */
export interface Caller {
  /** `key:<owner>`, `jwt:<issuer>:<sub>`, `bearer:<hash>` or `addr:<address>`: the name of the consumer's object. */
  readonly id: string;
  readonly kind: "key" | "jwt" | "bearer" | "addr";
  readonly plan: string;
  /** The API key's id in KV and its record's version; empty and 0 for callers without one. */
  readonly keyId: string;
  readonly keyVersion: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The request header that told who it is and must not reach the origin. */
  readonly consumedHeader: "x-api-key" | "authorization" | null;
}

export const NO_METADATA: Readonly<Record<string, unknown>> = Object.freeze({});
