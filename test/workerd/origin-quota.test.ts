/** The object of an upstream credential: strict over evictions and crashes, and closed for as long as the origin said. */

import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { QuotaLimit } from "../../src/limits/limit.ts";
import type { OriginVerdict } from "../../src/origin/quota-account.ts";
import { newName } from "./asking.ts";

const HOURLY: QuotaLimit = { kind: "quota", slot: "origin", name: "origin", calls: 100, per: 3_600_000, mode: "enforce" };

async function take(name: string, limit: QuotaLimit | null = HOURLY): Promise<OriginVerdict["kind"] | "no answer"> {
  try {
    const text = await env.ORIGIN_QUOTAS.getByName(name).take(limit, { consumer: "key:a", weight: 1, cost: 1 });
    return (JSON.parse(text) as OriginVerdict).kind;
  } catch {
    return "no answer";
  }
}

describe("a configured quota", () => {
  test("admits exactly its number of five hundred calls at once", async () => {
    const name = newName();
    const all = await Promise.all(Array.from({ length: 500 }, () => take(name)));
    expect(all.filter((kind) => kind === "admit")).toHaveLength(100);
  });

  test("is never passed over an abort half-way and an eviction", async () => {
    const name = newName();
    const first = Array.from({ length: 60 }, () => take(name));
    await first[30];
    await abortAllDurableObjects();
    const admitted = (await Promise.all(first)).filter((kind) => kind === "admit").length;
    const more = await Promise.all(Array.from({ length: 20 }, () => take(name)));
    await evictDurableObject(env.ORIGIN_QUOTAS.getByName(name));
    const rest = await Promise.all(Array.from({ length: 200 }, () => take(name)));
    const sum = admitted + [...more, ...rest].filter((kind) => kind === "admit").length;
    expect(sum).toBeLessThanOrEqual(100);
    // A crash may cost an eighth of it, twice here at the most.
    expect(sum).toBeGreaterThan(70);
  });
});

describe("a closed origin", () => {
  test("stays closed over an eviction and a crash", async () => {
    const name = newName();
    await env.ORIGIN_QUOTAS.getByName(name).tell({ closedForMs: 60_000, isEstimated: false, quota: null });
    await evictDurableObject(env.ORIGIN_QUOTAS.getByName(name));
    expect(await take(name, null)).toBe("refuse");
    await abortAllDurableObjects();
    expect(await take(name, null)).toBe("refuse");
  });
});
