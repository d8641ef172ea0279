/**
 * Which limits a JSON-RPC request falls under. A handshake that is refused is a lost connection (or, for clients that probe
 * the protocol's era, a wrong verdict about the server), so it has a lane of its own and is never refused for work.
 */

import type { Message } from "./message.ts";

export type Lane = "work" | "handshake" | "stream" | "unmetered";

const HANDSHAKE_METHODS = new Set([
  "initialize",
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "roots/list",
  "tasks/list",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
  // Polling for a task is not a loop: the server says how often, and the task's result is work.
  "tasks/get",
  "tasks/cancel",
]);

/** A method that the gate does not know may cost the origin anything: it is work. */
export function laneOf(message: Message): Lane {
  if (message.kind !== "request") return "unmetered";
  if (HANDSHAKE_METHODS.has(message.method)) return "handshake";
  if (message.method === "subscriptions/listen") return "stream";
  return "work";
}

const STRICTNESS: readonly Lane[] = ["unmetered", "stream", "handshake", "work"];

/** The lane as which a whole POST waits and is refused. */
export function strictestLane(lanes: readonly Lane[]): Lane {
  let strictest = 0;
  for (const lane of lanes) strictest = Math.max(strictest, STRICTNESS.indexOf(lane));
  return STRICTNESS[strictest]!;
}
