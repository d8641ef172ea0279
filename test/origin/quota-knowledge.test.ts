import { describe, expect, test } from "vitest";
import type { Caller } from "../../src/consumers/caller.ts";
import type { LimitSigns } from "../../src/origin/limit-signs.ts";
import { OriginKnowledge } from "../../src/origin/quota-knowledge.ts";
import { resolveOriginQuota } from "../../src/origin/quota-policy.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const KEY: Caller = { id: "key:a", kind: "key", plan: "pro", keyId: "1", keyVersion: 1, metadata: {}, consumedHeader: "authorization" };
const ADDRESS: Caller = { ...KEY, id: "addr:192.0.2.1", kind: "addr", consumedHeader: null };

const refused = (closedForMs: number | null): LimitSigns => ({ isRefusal: true, closedForMs, quota: null });
const remaining = (left: number, limit: number | null = 100): LimitSigns => ({
  isRefusal: false,
  closedForMs: null,
  quota: { limit, remaining: left, resetMs: 60_000 },
});

describe("whose quota a call is paid from", () => {
  const authorized = new Headers({ Authorization: "Bearer opaque-1" });

  test("is the origin's one credential for keys and addresses, and the caller's own where it brings one", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    expect(knowledge.credentialOf(KEY, authorized)).toBe("shared");
    expect(knowledge.credentialOf(ADDRESS, new Headers())).toBe("shared");
    const own = knowledge.credentialOf(ADDRESS, authorized);
    expect(own).not.toBe("shared");
    expect(own).not.toContain("opaque");
    expect(knowledge.credentialOf(ADDRESS, new Headers({ Authorization: "Bearer opaque-2" }))).not.toBe(own);
    expect(knowledge.credentialOf({ ...KEY, id: "jwt:i:s", kind: "jwt", consumedHeader: null }, authorized)).toBe("jwt:i:s");
  });

  test("is the origin's one credential where the caller brings a payment: it is the gate's where the gate sells", () => {
    const paying = new Headers({ Authorization: "L402 AgEE:00" });
    const ofSeller = new OriginKnowledge(resolveOriginQuota(), true);
    expect(ofSeller.credentialOf(ADDRESS, paying)).toBe("shared");
    expect(ofSeller.credentialOf(ADDRESS, authorized)).not.toBe("shared");
    expect(new OriginKnowledge(resolveOriginQuota(), false).credentialOf(ADDRESS, paying)).not.toBe("shared");
  });

  test("is each consumer's own where the policy says so", () => {
    expect(new OriginKnowledge(resolveOriginQuota({ of: "consumer" }), false).credentialOf(KEY, authorized)).toBe("key:a");
  });
});

describe("what a call is counted with", () => {
  const authorized = new Headers({ Authorization: "Bearer made-up" });

  test("is the one configured quota, whatever Authorization a caller without a token of its own may add", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota({ calls: 5_000, per: "1h" }), false);
    const own = knowledge.credentialOf(ADDRESS, authorized);
    expect(knowledge.quotaOf(ADDRESS, own)).toBe("shared");
    expect(knowledge.quotaOf({ ...KEY, consumedHeader: "x-api-key" }, own)).toBe("shared");
    expect(knowledge.quotaOf({ ...KEY, id: "bearer:h", kind: "bearer", consumedHeader: null }, own)).toBe("bearer:h");
    expect(new OriginKnowledge(resolveOriginQuota({ calls: 1, per: "1h", of: "consumer" }), false).quotaOf(ADDRESS, own)).toBe(ADDRESS.id);
  });

  test("is what the origin tells of the caller's own credential, where nothing is configured", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    expect(knowledge.quotaOf(ADDRESS, "any")).toBe("any");
  });
});

describe("what an isolate knows of the origin", () => {
  test("is nothing at first: no call is asked about, and none refused", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    expect(knowledge.isShared("shared", NOW)).toBe(false);
    expect(knowledge.closedFor("shared", NOW)).toBeNull();
  });

  test("a time that the origin told holds exactly", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    knowledge.hear("shared", refused(30_000), NOW);
    expect(knowledge.closedFor("shared", NOW + 10_000)).toEqual({ retryAfterMs: 20_000, isEstimated: false });
    expect(knowledge.closedFor("other", NOW)).toBeNull();
    expect(knowledge.closedFor("shared", NOW + 30_000)).toBeNull();
  });

  test("a time that it did not tell is a guess, twice as long each time, a minute at most, and small again after a success", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    const guesses: number[] = [];
    let now = NOW;
    for (let i = 0; i < 6; i++) {
      const { told } = knowledge.hear("shared", refused(null), now);
      expect(told.isEstimated).toBe(true);
      guesses.push(told.closedForMs);
      now += told.closedForMs;
    }
    expect(guesses).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    knowledge.hearNothing("shared", now);
    expect(knowledge.hear("shared", refused(null), now).told.closedForMs).toBe(5_000);
  });

  test("calls that were refused together are one closing", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    for (let i = 0; i < 20; i++) knowledge.hear("shared", refused(null), NOW + i);
    expect(knowledge.closedFor("shared", NOW + 20)).toEqual({ retryAfterMs: 4_980, isEstimated: true });
  });

  test("a told quota is shared out only when less than half of it is left, and until it begins anew", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    knowledge.hear("shared", remaining(80), NOW);
    expect(knowledge.isShared("shared", NOW)).toBe(false);
    knowledge.hear("shared", remaining(49), NOW);
    expect(knowledge.isShared("shared", NOW)).toBe(true);
    expect(knowledge.isShared("shared", NOW + 60_000)).toBe(false);
  });

  test("the credential's object is told of each closing, and of a quota once a second", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    const news = [0, 10, 999, 1_000, 1_500].map((ms) => knowledge.hear("shared", remaining(40), NOW + ms).isNews);
    expect(news).toEqual([true, false, false, true, false]);
    expect(knowledge.hear("shared", refused(1_000), NOW + 1_600).isNews).toBe(true);
  });

  test("a configured quota is always asked about", () => {
    expect(new OriginKnowledge(resolveOriginQuota({ calls: 5_000, per: "1h" }), false).isShared("shared", NOW)).toBe(true);
  });

  test("is not forgotten for made-up credentials, however many", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    knowledge.hear("shared", refused(60_000), NOW);
    for (let i = 0; i < 20_000; i++) knowledge.hear(`authorization:${i}`, remaining(10), NOW + 1);
    expect(knowledge.closedFor("shared", NOW + 1_000)).toEqual({ retryAfterMs: 59_000, isEstimated: false });
  });

  test("a call that was on its way and hit a shorter limit does not open the origin earlier, and is told the true time", () => {
    const knowledge = new OriginKnowledge(resolveOriginQuota(), false);
    knowledge.hear("shared", refused(30_000), NOW);
    expect(knowledge.hear("shared", refused(1_000), NOW + 100).told).toMatchObject({ closedForMs: 29_900, isEstimated: false });
    expect(knowledge.closedFor("shared", NOW + 10_000)).toEqual({ retryAfterMs: 20_000, isEstimated: false });
  });
});
