/**
 * Calls on their way at once, and streams open at once: slots that are lent until the answer has ended. A gate that dies
 * cannot give its slots back, so each is a lease that runs out unless it is renewed: after half a minute at first, after up to five for
 * what has been open for long, so that an open stream does not keep the object awake.
 *
 * What is stored is how many slots may be lent, and until when; it runs ahead of what is lent, so that a busy consumer
 * costs a row every half a minute. An object that starts from its row does not know the leases, only that many
 * strangers: they count until their gates renew them, give them back, or the time is over. Never too many.
 */

const LEASE_MS = 30_000;
const MAX_LEASE_MS = 300_000;
/** How much of the past an average of how long calls take looks at. */
const NEWEST_WEIGHT = 0.2;
/** When nothing is known of how long calls take. */
const UNKNOWN_CALL_MS = 1_000;

interface Lease {
  readonly units: number;
  readonly grantedAt: number;
  until: number;
}

/** What a gate holds of a lease. Its times are the object's. */
export interface LeaseTicket {
  readonly id: number;
  readonly units: number;
  readonly until: number;
  /** The same as a time from now: clocks differ. */
  readonly forMs: number;
}

export interface Slots {
  readonly leases: Map<number, Lease>;
  /** Lent by an earlier instance, and not heard of since. */
  strangers: StoredSlots;
  /** How long a slot has been held on average; 0 when none was given back yet. */
  averageMs: number;
}

/** At most `units` are lent, and none of them for longer than `until`. */
export interface StoredSlots {
  readonly units: number;
  readonly until: number;
}

export const NO_SLOTS: StoredSlots = { units: 0, until: 0 };

export function createSlots(stored: StoredSlots = NO_SLOTS): Slots {
  return { leases: new Map(), strangers: stored, averageMs: 0 };
}

/** How many are lent. */
export function slotsInUse(slots: Slots, now: number): number {
  if (slots.strangers.until <= now) slots.strangers = NO_SLOTS;
  let inUse = slots.strangers.units;
  for (const [id, { units, until }] of slots.leases) {
    if (until <= now) slots.leases.delete(id);
    else inUse += units;
  }
  return inUse;
}

/** @returns null when they are not there */
export function takeSlots(slots: Slots, id: number, units: number, most: number, now: number): LeaseTicket | null {
  if (slotsInUse(slots, now) + units > most) return null;
  const until = now + LEASE_MS;
  slots.leases.set(id, { units, grantedAt: now, until });
  return { id, units, until, forMs: LEASE_MS };
}

/** @returns null when the lease has run out: the slots may be somebody else's by now */
export function renewSlots(slots: Slots, { id, units, until }: LeaseTicket, now: number): LeaseTicket | null {
  const lease = slots.leases.get(id) ?? adopt(slots, id, units, until, now);
  if (!lease || lease.until <= now) return null;
  lease.until = Math.max(lease.until, now + Math.min(MAX_LEASE_MS, Math.max(LEASE_MS, now - lease.grantedAt)));
  return { id, units, until: lease.until, forMs: lease.until - now };
}

export function giveSlotsBack(slots: Slots, { id, units, until }: LeaseTicket, now: number): void {
  const lease = slots.leases.get(id) ?? adopt(slots, id, units, until, now);
  if (!lease) return;
  slots.leases.delete(id);
  const heldMs = Math.max(0, now - lease.grantedAt);
  slots.averageMs = slots.averageMs === 0 ? heldMs : slots.averageMs + NEWEST_WEIGHT * (heldMs - slots.averageMs);
}

/** A lease of an earlier instance that its gate still holds: one stranger less. */
function adopt(slots: Slots, id: number, units: number, until: number, now: number): Lease | null {
  const { strangers } = slots;
  if (until <= now || strangers.until <= now || strangers.units < units) return null;
  slots.strangers = { ...strangers, units: strangers.units - units };
  const lease = { units, grantedAt: until - LEASE_MS, until };
  slots.leases.set(id, lease);
  return lease;
}

/** When the next slot runs out by itself, if none is given back before. */
export function nextRunOut(slots: Slots): number {
  let at = slots.strangers.units > 0 ? slots.strangers.until : Infinity;
  for (const { until } of slots.leases.values()) at = Math.min(at, until);
  return at;
}

/** A guess at when `units` more will be there, behind `ahead` that wait already: nobody knows how long calls take. */
export function estimateWait(slots: Slots, units: number, ahead: number, most: number): number {
  const callMs = slots.averageMs || UNKNOWN_CALL_MS;
  return Math.ceil(Math.max(UNKNOWN_CALL_MS, (callMs * (ahead + units)) / most));
}

/** Whether a row that says `stored` covers what is lent. */
export function coversSlots(stored: StoredSlots, slots: Slots, now: number): boolean {
  const { units, until } = exactSlots(slots, now);
  return units <= stored.units && (units === 0 || until <= stored.until);
}

/** What is lent, exactly. */
export function exactSlots(slots: Slots, now: number): StoredSlots {
  const units = slotsInUse(slots, now);
  if (units === 0) return NO_SLOTS;
  let until = slots.strangers.units > 0 ? slots.strangers.until : 0;
  for (const lease of slots.leases.values()) until = Math.max(until, lease.until);
  return { units, until };
}

/** What to store so that the next calls need no row of their own: the next power of two, and another lease's time. */
export function slotsAhead(slots: Slots, now: number): StoredSlots {
  const { units, until } = exactSlots(slots, now);
  return units === 0 ? NO_SLOTS : { units: 2 ** Math.ceil(Math.log2(units)), until: until + LEASE_MS };
}

/** Moves every time back with a clock that was set back by `byMs`. */
export function shiftSlots(slots: Slots, byMs: number): void {
  slots.strangers = { ...slots.strangers, until: slots.strangers.until - byMs };
  for (const [id, lease] of slots.leases) {
    slots.leases.set(id, { ...lease, grantedAt: lease.grantedAt - byMs, until: lease.until - byMs });
  }
}
