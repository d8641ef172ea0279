import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { admit, afterFailure, type Circuit, CLOSED_CIRCUIT } from "../../src/lightning/circuit.ts";

const NOW = Date.UTC(2026, 10, 21, 12);

function failed(circuit: Circuit, now: number): Circuit {
  const admission = admit(circuit, now);
  if (!admission.ok) throw new Error("not asked");
  return afterFailure(admission.circuit, admission.isProbe, now);
}

const OPEN = failed(failed(failed(CLOSED_CIRCUIT, NOW), NOW), NOW);

describe("a circuit", () => {
  test("stays closed through two failures, and opens with the third in a row", () => {
    const twice = failed(failed(CLOSED_CIRCUIT, NOW), NOW);
    expect(admit(twice, NOW)).toMatchObject({ ok: true, isProbe: false });
    expect(admit(OPEN, NOW)).toEqual({ ok: false, retryAfterMs: 10_000 });
    expect(admit(OPEN, NOW + 9_999)).toEqual({ ok: false, retryAfterMs: 1 });
  });

  test("that has been open lets one through, and all others only when that one has told nothing for long", () => {
    const probe = admit(OPEN, NOW + 10_000);
    expect(probe).toMatchObject({ ok: true, isProbe: true });
    if (!probe.ok) return;
    expect(admit(probe.circuit, NOW + 10_000)).toMatchObject({ ok: false });
    expect(admit(probe.circuit, NOW + 19_999)).toMatchObject({ ok: false });
    expect(admit(probe.circuit, NOW + 20_000)).toMatchObject({ ok: true, isProbe: true });
  });

  test("stays open twice as long each time the one fails, and never longer than two minutes", () => {
    let circuit = OPEN;
    let now = NOW;
    for (const seconds of [10, 20, 40, 80, 120, 120]) {
      expect(admit(circuit, now)).toEqual({ ok: false, retryAfterMs: seconds * 1_000 });
      now += seconds * 1_000;
      circuit = failed(circuit, now);
    }
  });

  test("is not held open longer by those that were under way when it opened", () => {
    expect(afterFailure(OPEN, false, NOW + 5_000)).toEqual(OPEN);
  });

  test("asks again within two minutes, whatever has failed when, also by a clock that was set back", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: -600_000, max: 600_000 }), fc.boolean()), { maxLength: 40 }), (failures) => {
        let circuit = CLOSED_CIRCUIT;
        let now = NOW;
        for (const [byMs, isProbe] of failures) {
          now += byMs;
          circuit = afterFailure(circuit, isProbe, now);
        }
        const admission = admit(circuit, now);
        if (admission.ok) return;
        expect(admission.retryAfterMs).toBeGreaterThan(0);
        expect(admission.retryAfterMs).toBeLessThanOrEqual(120_000);
      }),
    );
  });
});
