import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { writeBolt11 } from "../../src/cli/local/bolt11.ts";
import { GuardedNode } from "../../src/lightning/guarded-node.ts";
import type { Created, LightningNode } from "../../src/lightning/node.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const ORDER = { sats: 30, memo: "10 calls", expirySeconds: 600 };

function invoiceOver(sats: number): string {
  const [paymentHash, paymentSecret, nodeKey] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  return writeBolt11({ sats, paymentHash, paymentSecret, description: "x", timestamp: NOW / 1_000, expirySeconds: 600 }, nodeKey);
}

/** A node that answers with this, each time it is asked. */
function nodeWith(create: () => Promise<Created>): { node: LightningNode; asked: () => number } {
  let asked = 0;
  const node: LightningNode = {
    createInvoice: () => {
      asked++;
      return create();
    },
    lookupInvoice: async () => ({ ok: true, state: "unknown" }),
  };
  return { node: new GuardedNode(node, "bcrt"), asked: () => asked };
}

function sells(invoice: string): LightningNode {
  return nodeWith(async () => ({ ok: true, invoice: { invoice, paymentHash: "ab".repeat(32), expiresAt: NOW + 600_000 } })).node;
}

describe("an invoice is sold", () => {
  test("when it is over what was asked for, on the network that the policy names", async () => {
    expect(await sells(invoiceOver(30)).createInvoice(ORDER, NOW)).toMatchObject({ ok: true });
  });

  test.each([
    ["over more", invoiceOver(31)],
    ["over less", invoiceOver(3)],
    ["over any amount the payer likes", invoiceOver(30).replace("lnbcrt300n1", "lnbcrt1")],
    ["of another network", invoiceOver(30).replace("lnbcrt", "lnbc")],
    ["that is an offer", "lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrc"],
    ["that would break out of its header", `${invoiceOver(30)}", realm="x`],
  ])("never when it is one %s", async (_what, invoice) => {
    expect(await sells(invoice).createInvoice(ORDER, NOW)).toMatchObject({ ok: false, problem: { kind: "wrong-invoice" } });
  });
});

describe("a node that has been away", () => {
  test("is asked by one of many at once, and by all again when that one has succeeded", async () => {
    let isBack = false;
    const invoice = { invoice: invoiceOver(30), paymentHash: "ab".repeat(32), expiresAt: NOW + 600_000 };
    const { node, asked } = nodeWith(async () =>
      isBack ? { ok: true, invoice } : { ok: false, problem: { kind: "timeout", message: "LND at https://node.example did not answer" } },
    );
    const many = async (now: number): Promise<(string | boolean)[]> => {
      const all = await Promise.all(Array.from({ length: 20 }, () => node.createInvoice(ORDER, now)));
      return all.map((created) => created.ok || created.problem.kind);
    };
    // All of them are under way before the first has failed.
    expect(new Set(await many(NOW))).toEqual(new Set(["timeout"]));
    expect(asked()).toBe(20);
    expect((await many(NOW + 10_000)).filter((kind) => kind !== "away")).toEqual(["timeout"]);
    expect(asked()).toBe(21);
    isBack = true;
    expect((await many(NOW + 30_000)).filter((kind) => kind === true)).toHaveLength(1);
    expect(new Set(await many(NOW + 30_000))).toEqual(new Set([true]));
    expect(asked()).toBe(42);
  });
});
