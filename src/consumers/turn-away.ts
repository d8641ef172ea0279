/** Who cannot be identified is turned away, and charged to its address, so that guessing keys is limited too. */

import { askForNewerRecord } from "../../durable-objects/ask-consumer.ts";
import type { Gate, GateEnv } from "../gate.ts";
import { strangerAnswer } from "../refusals/gate-errors.ts";
import type { Caller } from "./caller.ts";
import { chargeGuess } from "./guesses.ts";
import { addressCaller, identify, type Stranger } from "./identify.ts";

export type Known = { readonly ok: true; readonly caller: Caller } | { readonly ok: false; readonly response: Response };

const NO_GUESS: ReadonlySet<Stranger> = new Set(["key-required", "key-or-bearer-required", "keys-unavailable", "issuer-unavailable"]);

export async function identifyOrTurnAway(request: Request, env: GateEnv, gate: Gate): Promise<Known> {
  const newerRecord = askForNewerRecord.bind(null, env.CONSUMERS);
  const identified = await identify(request.headers, env.KEYS, newerRecord, gate, Date.now());
  if (identified.ok) return identified;
  const { why } = identified;
  const address = addressCaller(request.headers, "").id;
  gate.log({ event: "stranger", address, why });
  return { ok: false, response: strangerAnswer(why, NO_GUESS.has(why) ? null : await chargeGuess(env.CONSUMERS, address)) };
}
