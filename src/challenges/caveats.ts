/**
 * What a macaroon of this gate is good for, as caveats in the manner of L402, `condition=value`:
 *
 * | caveat                            | what                                                                       |
 * | --------------------------------- | -------------------------------------------------------------------------- |
 * | `services=turnpike:0`             | the service, and its tier                                                  |
 * | `turnpike_consumer=<64 hex>`      | whose account the credit is on: the id of its object, which names nobody   |
 * | `turnpike_spent_by=<who>`         | `consumer`: whoever the account is; `holder`: only with this macaroon shown |
 * | `turnpike_plan=<name>`            | the plan that it was sold on                                               |
 * | `turnpike_network=<bc, tb, …>`    | the Lightning network that it was sold on: play money is not money         |
 * | `turnpike_calls=<n>`              | how many calls have been paid for                                          |
 * | `turnpike_redeem_by=<seconds>`    | until when it can be handed in for the first time, in epoch seconds        |
 * | `turnpike_valid_until=<seconds>`  | until when it pays for calls: as long as the credit can last               |
 *
 * A holder may add caveats, and every one that is there must hold: of two numbers the lesser counts, and two names leave nothing.
 * A caveat of others is skipped, as L402 demands. One of ours that cannot be read is a restriction that cannot be kept, so nothing is served.
 */

export const SERVICE = "turnpike";
/** There is one. */
const TIER = 0;
const OURS = `${SERVICE}_`;
const HOLDER = "holder";
const CONSUMER = "consumer";
/** Every one must be there. */
const CONDITIONS = [
  "services",
  ...["consumer", "spent_by", "plan", "network", "calls", "redeem_by", "valid_until"].map((name) => OURS + name),
];

export interface CaveatTerms {
  /** The account's object: 64 hexadecimal digits. */
  readonly account: string;
  /** The account is an address's, which neighbours share. */
  readonly isForHolder: boolean;
  readonly plan: string;
  readonly network: string;
  readonly calls: number;
  /** Epoch milliseconds, as is the next; whole seconds are kept. */
  readonly redeemBy: number;
  readonly validUntil: number;
}

export interface ReadTerms extends CaveatTerms {
  /** How long what was bought lasts from when it is handed in. */
  readonly lifeMs: number;
  /** Until when it could be handed in as it was minted: a holder makes that sooner in one copy, and has kept another. */
  readonly rememberUntil: number;
}

export type CaveatReading = { readonly ok: true; readonly terms: ReadTerms } | { readonly ok: false };

const UNREADABLE: CaveatReading = { ok: false };
const ACCOUNT = /^[\da-f]{64}$/;
const PLAN = /^[\w.-]{1,40}$/;
const NETWORK = /^[a-z]{2,4}$/;
/** Of each there is one, whatever a holder adds. */
const NAMES: Readonly<Record<string, RegExp>> = { [`${OURS}consumer`]: ACCOUNT, [`${OURS}plan`]: PLAN, [`${OURS}network`]: NETWORK };
/** What a number cannot hold exactly, no caveat needs. */
const WHOLE_NUMBER = /^\d{1,15}$/;
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

export function writeCaveats({ account, isForHolder, plan, network, calls, redeemBy, validUntil }: CaveatTerms): string[] {
  return [
    `services=${SERVICE}:${TIER}`,
    `${OURS}consumer=${account}`,
    `${OURS}spent_by=${isForHolder ? HOLDER : CONSUMER}`,
    `${OURS}plan=${plan}`,
    `${OURS}network=${network}`,
    `${OURS}calls=${calls}`,
    `${OURS}redeem_by=${Math.floor(redeemBy / 1_000)}`,
    `${OURS}valid_until=${Math.floor(validUntil / 1_000)}`,
  ];
}

/**
 * @param caveats of a macaroon whose signature is good
 * @returns not ok when one of ours cannot be read, asks for what is not served here, or is missing
 */
export function readCaveats(caveats: readonly Uint8Array[]): CaveatReading {
  const found = new Map<string, string>();
  const minted = new Map<string, string>();
  for (const caveat of caveats) {
    const text = decoder.decode(caveat);
    const equals = text.indexOf("=");
    const condition = equals < 0 ? text : text.slice(0, equals);
    const value = equals < 0 ? "" : text.slice(equals + 1);
    const held = found.get(condition);
    switch (condition) {
      case "services":
        if (!value.split(",").includes(`${SERVICE}:${TIER}`)) return UNREADABLE;
        found.set(condition, SERVICE);
        break;
      case `${OURS}consumer`:
      case `${OURS}plan`:
      case `${OURS}network`:
        if (!NAMES[condition]!.test(value) || (held !== undefined && held !== value)) return UNREADABLE;
        found.set(condition, value);
        break;
      case `${OURS}spent_by`:
        if (value !== HOLDER && value !== CONSUMER) return UNREADABLE;
        found.set(condition, held === HOLDER ? HOLDER : value);
        break;
      case `${OURS}calls`:
      case `${OURS}redeem_by`:
      case `${OURS}valid_until`:
        if (!WHOLE_NUMBER.test(value) || Number(value) === 0) return UNREADABLE;
        found.set(condition, held === undefined || Number(value) < Number(held) ? value : held);
        if (held === undefined) minted.set(condition, value);
        break;
      default:
        if (text.startsWith(OURS)) return UNREADABLE;
    }
  }
  if (CONDITIONS.some((condition) => !found.has(condition))) return UNREADABLE;
  const text = (name: string): string => found.get(OURS + name)!;
  const mintedMs = (name: string): number => msOf(minted.get(OURS + name)!);
  const terms = {
    account: text("consumer"),
    isForHolder: text("spent_by") === HOLDER,
    plan: text("plan"),
    network: text("network"),
    calls: Number(text("calls")),
    redeemBy: msOf(text("redeem_by")),
    validUntil: msOf(text("valid_until")),
    lifeMs: mintedMs("valid_until") - mintedMs("redeem_by"),
    rememberUntil: mintedMs("redeem_by"),
  };
  return { ok: true, terms };
}

function msOf(seconds: string): number {
  return Number(seconds) * 1_000;
}
