import { describe, expect, test } from "vitest";
import { type Lane, laneOf, strictestLane } from "../../src/mcp/lanes.ts";

/** Every method of every revision that a client may send (facts/mcp.md 1.3), by its lane in the design. */
const REQUESTS: Readonly<Record<Exclude<Lane, "unmetered">, readonly string[]>> = {
  handshake: [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "tasks/list",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/get",
    "tasks/cancel",
  ],
  work: ["tools/call", "resources/read", "prompts/get", "completion/complete", "tasks/result", "tasks/update"],
  stream: ["subscriptions/listen"],
};
const NOTIFICATIONS = [
  "notifications/initialized",
  "notifications/cancelled",
  "notifications/progress",
  "notifications/roots/list_changed",
  "notifications/tasks/status",
];

describe("the lane of a request", () => {
  const table = Object.entries(REQUESTS).flatMap(([lane, methods]) => methods.map((method) => [method, lane]));

  test.each(table)("%s is %s", (method, lane) => {
    expect(laneOf({ kind: "request", id: 0, method, params: {} })).toBe(lane);
  });

  test.each(["x/anything", "", "Tools/List", "tools/list ", "__proto__", "constructor"])(
    "a method that is not known (%j) is work",
    (method) => {
      expect(laneOf({ kind: "request", id: 0, method, params: {} })).toBe("work");
    },
  );

  test.each(NOTIFICATIONS)("%s is unmetered", (method) => {
    expect(laneOf({ kind: "notification", method, params: {} })).toBe("unmetered");
  });

  test("the client's answer to a server's own request is unmetered", () => {
    expect(laneOf({ kind: "response" })).toBe("unmetered");
  });

  test("a notification of a method that is work is unmetered, since no server answers it", () => {
    expect(laneOf({ kind: "notification", method: "tools/call", params: {} })).toBe("unmetered");
  });
});

describe("the lane of a batch", () => {
  test.each([
    [["handshake", "work", "unmetered"], "work"],
    [["unmetered", "handshake"], "handshake"],
    [["stream", "handshake"], "handshake"],
    [["unmetered", "stream"], "stream"],
    [["unmetered", "unmetered"], "unmetered"],
    [[], "unmetered"],
  ] as const)("%j is refused as %s", (lanes, strictest) => {
    expect(strictestLane(lanes)).toBe(strictest);
  });
});
