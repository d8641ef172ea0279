/** A challenge as it is offered: a way on for whoever does what it asks for. */

import type { L402Challenge } from "./l402.ts";
import type { PowChallenge } from "./proof-of-work.ts";

export type Challenge = PowChallenge | L402Challenge;
