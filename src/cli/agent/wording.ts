/** What is being done to get a call through, in words: for the person who reads stderr, and for the host's progress display. */

import { l402Authorization, type Progress } from "../../client/index.ts";

export function wordProgress(progress: Progress): string {
  switch (progress.kind) {
    case "waiting":
      return `over the limit: waiting ${seconds(progress.waitMs)}`;
    case "solving": {
      const { difficulty, hashesPerSecond, expectedMs, likelyWithinMs } = progress;
      const what = `over the limit: solving a proof of work of ${difficulty} bits`;
      if (hashesPerSecond === null || expectedMs === null || likelyWithinMs === null) return what;
      const speed = `${(hashesPerSecond / 1e6).toFixed(1)} million tries a second`;
      return `${what}, ${speed}; from here ${seconds(expectedMs)} on average, nine times in ten less than ${seconds(likelyWithinMs)}`;
    }
    case "solved": {
      const { elapsedMs, tries, calls } = progress;
      return `solved in ${seconds(elapsedMs)} (${tries.toLocaleString("en")} tries), good for ${countOf(calls, "call")}`;
    }
    case "paying": {
      const { priceSats, calls, budgetLeftSats } = progress;
      const bought = calls === null ? "" : ` for ${countOf(calls, "call")}`;
      return `over the limit: paying ${countOf(priceSats, "sat")}${bought}, which leaves ${countOf(budgetLeftSats, "sat")} of the budget`;
    }
    case "paid": {
      const { priceSats, calls, elapsedMs } = progress;
      return `paid ${countOf(priceSats, "sat")} in ${seconds(elapsedMs)}${calls === null ? "" : `, good for ${countOf(calls, "call")}`}`;
    }
    case "untaken":
      return `the gate has not taken what was paid: it is kept, and tried again with the next call. It is good as Authorization: ${l402Authorization(progress.credential)}`;
    case "resending":
      return "sending the call again";
  }
}

function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.ceil(ms / 1_000)} s`;
}

function countOf(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count.toLocaleString("en")} ${noun}s`;
}
