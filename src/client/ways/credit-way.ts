/** The way on that costs nothing any more: what others have solved or paid for. */

import type { Earnings } from "./earnings.ts";
import type { Obstacle } from "./obstacle.ts";
import type { WayOn } from "./ways-on.ts";

const USED_UP: Obstacle = { code: "paid-already", why: "what was solved or paid for is used up" };

export function createCreditWay(earnings: Earnings): WayOn {
  return {
    kind: "credit",
    consider: (refused) => (earnings.helps(refused) ? { isOpen: true, expectedMs: 0, priceSats: 0 } : null),
    take: (refused) => Promise.resolve(earnings.take(refused) ?? { ok: false, obstacle: USED_UP }),
  };
}
