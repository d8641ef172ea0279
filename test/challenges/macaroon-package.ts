/** The `macaroon` package of npm, which comes without types: what the tests use of it. */

import { createRequire } from "node:module";

export interface PackageMacaroon {
  addFirstPartyCaveat(caveat: string | Uint8Array): void;
  addThirdPartyCaveat(rootKey: Uint8Array, caveat: Uint8Array, location: string): void;
  /** V2. Its buffer doubles with each of some four fields a caveat: three caveats are as many as it can write. */
  exportBinary(): Uint8Array;
  exportJSON(): unknown;
  /** @throws when the signature, or a caveat by `check`, is not good; `check` returns what is wrong, or null */
  verify(rootKey: Uint8Array, check: (caveat: string) => string | null, discharges: readonly PackageMacaroon[]): void;
}

interface Package {
  newMacaroon(parts: { identifier: Uint8Array; location: string; rootKey: Uint8Array; version: 2 }): PackageMacaroon;
  importMacaroon(bytes: Uint8Array): PackageMacaroon;
}

export const { newMacaroon, importMacaroon } = createRequire(import.meta.url)("macaroon") as Package;
