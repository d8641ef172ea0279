import { describe, expect, it, vi } from "vitest";
import {
  createTurnpikeFetch,
  type FetchLike,
  type ObstacleCode,
  PaymentFailedError,
  type Progress,
  type SolvePow,
  type TurnpikeFetchOptions,
  type Wallet,
} from "../../src/client/index.ts";
import {
  CALLS,
  client,
  codes,
  failing,
  L402,
  LONG_MS,
  MACAROON,
  oddOffer,
  offer,
  payAnew,
  payer,
  postedTo,
  PRICE_SATS,
  rejection,
  toPay,
} from "./payer.ts";
import { answer, refusal, type RefusalOptions, scripted, toolCall, URL_OF_GATE } from "./scripted-gate.ts";

payAnew();

const now = Math.floor(Date.now() / 1_000);

/** An invoice that has expired by the gate's clock, and would not have by that of this machine. */
function late(): Response {
  const response = refusal({ payment: oddOffer({ createdAt: now + 5_000, expirySeconds: 60 }), retryAfterMs: LONG_MS });
  response.headers.set("Date", new Date((now + 5_100) * 1_000).toUTCString());
  return response;
}

function showsPayment({ headers }: { readonly headers: Headers }): boolean {
  return L402.test(headers.get("authorization") ?? "");
}

/** Much slower than is assumed of a machine, which is known after the first. */
const slowly: SolvePow = ({ id, salt, signature }) =>
  Promise.resolve({ ok: true, solution: { id, salt, nonce: "n", signature }, tries: 2 ** 18, elapsedMs: 10_000 });

/** How a call of a client gets on, where a proof, a payment and a wait are open. */
async function wayOf(offers: RefusalOptions, options: TurnpikeFetchOptions): Promise<string> {
  const gate = scripted([() => toPay(offers), answer]);
  const told: string[] = [];
  const onProgress = ({ kind }: Progress): void => void told.push(kind);
  const aborter = new AbortController();
  const calling = client(gate, { ...options, onProgress, signal: aborter.signal })(URL_OF_GATE, toolCall());
  await vi.waitFor(() => expect(told).not.toEqual([]));
  aborter.abort();
  await calling.catch(() => {});
  return told[0]!;
}

describe("a call that is offered an invoice", () => {
  it("is paid for, and sent again with the pass once the gate has the preimage, posted as the caller", async () => {
    const gate = scripted([() => toPay(), answer]);
    const call = toolCall(7, { "Mcp-Session-Id": "s", Authorization: "Bearer other" });
    expect((await client(gate)(URL_OF_GATE, call)).status).toBe(200);
    expect(gate.verified[0]).toMatchObject({ url: "https://gate.example/turnpike/verify", method: "POST" });
    expect(postedTo(gate)).toEqual({ macaroon: MACAROON, preimage: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(Object.fromEntries(gate.verified[0]!.headers)).toEqual({
      accept: "application/json",
      authorization: "Bearer other",
      "content-type": "application/json",
      "x-api-key": "tp_key",
    });
    expect(gate.sent[1]!.body).toBe(call.body);
    expect(gate.sent[1]!.headers.get("turnpike-pass")).toBe("tpass_x");
    expect(gate.sent[1]!.headers.get("authorization")).toBe("Bearer other");
    expect(payer.paidSats).toBe(PRICE_SATS);
    expect(payer.offences).toEqual([]);
  });

  it("is not paid for without a wallet", async () => {
    const gate = scripted([() => toPay(), answer]);
    const error = await rejection(createTurnpikeFetch({ fetch: gate.fetch, maxWait: 0 })(URL_OF_GATE, toolCall()));
    expect(codes(error)).toEqual(["wait-too-long"]);
  });

  it("posts the preimage to the gate's own site only, wherever the offers point", async () => {
    for (const [verify, difficulty, to] of [
      ["https://gate.example/turnpike/own", 40, "https://gate.example/turnpike/own"],
      ["https://evil.example/turnpike/verify", 40, "https://gate.example/turnpike/verify"],
      [undefined, undefined, "https://gate.example/turnpike/verify"],
    ] as const) {
      const gate = scripted([() => toPay({ ...(difficulty ? { difficulty } : {}), ...(verify ? { verify } : {}) }), answer]);
      await client(gate)(URL_OF_GATE, toolCall());
      expect(gate.verified.map(({ url }) => url)).toEqual([to]);
    }
  });

  it("lets no redirect take the preimage elsewhere", async () => {
    const gate = scripted([() => toPay(), answer]);
    const redirects: unknown[] = [];
    const fetch: FetchLike = (input, init) => {
      if (input instanceof URL && input.pathname.startsWith("/turnpike/")) redirects.push(init?.redirect);
      return gate.fetch(input, init);
    };
    await client(gate, { fetch })(URL_OF_GATE, toolCall());
    expect(redirects).toEqual(["manual"]);
  });

  it("tells what is paid, and what is left of the budget", async () => {
    const gate = scripted([() => toPay(), answer]);
    const told: Progress[] = [];
    await client(gate, { budgetSats: 50, onProgress: (progress) => told.push(progress) })(URL_OF_GATE, toolCall());
    expect(told).toEqual([
      { kind: "paying", priceSats: 30, calls: 10, budgetLeftSats: 20 },
      { kind: "paid", priceSats: 30, calls: 10, elapsedMs: expect.any(Number) as number, budgetLeftSats: 20 },
      { kind: "resending", attempt: 1 },
    ]);
  });
});

describe("an invoice is not paid", () => {
  it.each<[ObstacleCode, string, () => object, TurnpikeFetchOptions]>([
    ["too-expensive", "its price of 30 sats is more than the 29 that one call may cost", () => offer(), { maxPriceSats: 29 }],
    ["over-budget", "its price of 30 sats is more than the 29 that are left of the budget of 29", () => offer(), { budgetSats: 29 }],
    ["too-expensive", "more than the NaN", () => offer(), { maxPriceSats: Number.NaN }],
    ["over-budget", "of the budget of NaN", () => offer(), { budgetSats: Number.NaN }],
    ["wrong-network", "is for regtest, and this client pays on bitcoin", () => offer(), { network: "bitcoin" }],
    ["wrong-network", "is for bitcoin, and this client pays on regtest", () => oddOffer({ network: "bc" }), {}],
    ["wrong-amount", "asks for 31 sats, and its price is said to be 30", () => oddOffer({ amount: "310n" }), {}],
    ["wrong-amount", "asks for 30.001 sats", () => oddOffer({ amount: "300010p" }), {}],
    ["wrong-amount", "names no amount", () => oddOffer({ amount: "" }), {}],
    ["invoice-expired", "has expired", () => oddOffer({ createdAt: now - 700, expirySeconds: 600 }), {}],
    ["invoice-expired", "or is about to", () => oddOffer({ createdAt: Math.floor(Date.now() / 1_000), expirySeconds: 5 }), {}],
    ["invoice-expired", "has expired", () => offer({ expiresAt: "2020-01-01T00:00:00Z" }), {}],
    ["bad-invoice", "cannot be read", () => offer({ invoice: "lnbc300n1" }), {}],
  ])("%s: %s", async (code, words, payment, options) => {
    const gate = scripted([() => refusal({ payment: payment(), retryAfterMs: LONG_MS })]);
    const error = await rejection(client(gate, options)(URL_OF_GATE, toolCall()));
    expect(codes(error)).toEqual([code, "wait-too-long"]);
    expect(error.message).toContain(words);
    expect(payer.paid).toEqual([]);
    expect(gate.sent).toHaveLength(1);
  });

  it("by the clock of the gate, when that of this machine is wrong", async () => {
    expect(codes(await rejection(client(scripted([late]))(URL_OF_GATE, toolCall())))).toContain("invoice-expired");
  });

  it("where the same call will not help", async () => {
    const gate = scripted([() => toPay({ cause: "repeat" })]);
    expect(codes(await rejection(client(gate)(URL_OF_GATE, toolCall())))).toEqual(["loop"]);
    expect(payer.paid).toEqual([]);
  });
});

describe("a wallet that fails", () => {
  it("and knows that nothing is paid leaves the budget as it was: another call may try", async () => {
    const wallet = failing(new PaymentFailedError("insufficient balance"));
    const gate = scripted([() => toPay()]);
    const paying = client(gate, { wallet, budgetSats: 30 });
    for (let i = 1; i <= 2; i++) {
      const error = await rejection(paying(URL_OF_GATE, toolCall()));
      expect(codes(error)).toEqual(["wait-too-long", "wallet-failed"]);
      expect(error.message).toContain("the wallet did not pay its invoice (insufficient balance)");
      expect(wallet.asked).toBe(i);
      // Calls of the same millisecond count as refused together.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  it("in whatever other way may have paid: that takes its part of the budget", async () => {
    for (const wallet of [
      failing(new Error("reply timeout")),
      { payInvoice: () => Promise.resolve({ preimage: "00".repeat(32) }) },
      { payInvoice: () => Promise.resolve(undefined) } as unknown as Wallet,
    ]) {
      const gate = scripted([() => toPay()]);
      const paying = client(gate, { wallet, budgetSats: 59 });
      expect(codes(await rejection(paying(URL_OF_GATE, toolCall())))).toEqual(["wait-too-long", "payment-unknown"]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(codes(await rejection(paying(URL_OF_GATE, toolCall())))).toEqual(["over-budget", "wait-too-long"]);
      expect(gate.verified).toEqual([]);
    }
  });

  it("is asked once for all calls that were refused together", async () => {
    const wallet = failing(new Error("reply timeout"));
    const gate = scripted([() => toPay()]);
    const paying = client(gate, { wallet });
    const errors = await Promise.all([1, 2, 3].map((id) => rejection(paying(URL_OF_GATE, toolCall(id)))));
    expect(errors.map(codes)).toEqual(errors.map(() => ["wait-too-long", "payment-unknown"]));
    expect(wallet.asked).toBe(1);
  });

  it("leaves the other ways: the proof is worked on, the wait is waited", async () => {
    const wallet = failing(new PaymentFailedError("no route"));
    const proof = scripted([() => toPay({ difficulty: 8 }), answer]);
    expect((await client(proof, { wallet, prefer: "l402" })(URL_OF_GATE, toolCall())).status).toBe(200);
    expect(postedTo(proof)).toHaveProperty("nonce");
    const wait = scripted([() => toPay({ retryAfterMs: 3_600 }), answer]);
    expect((await client(wait, { wallet, prefer: "l402", maxWait: 9_000 })(URL_OF_GATE, toolCall())).status).toBe(200);
    expect(wait.sent[1]!.at - wait.sent[0]!.at).toBeGreaterThanOrEqual(3_600);
    expect(wallet.asked).toBe(2);
  });

  it("by never answering: the call ends, nothing else is paid, and what arrives late is there for the next", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    try {
      let arrive!: () => void;
      const arrived = new Promise<void>((resolve) => (arrive = resolve));
      const wallet: Wallet = {
        async payInvoice(text) {
          const paid = await payer.payInvoice(text);
          await arrived;
          return paid;
        },
      };
      const gate = scripted([(sent) => (showsPayment(sent) ? answer() : toPay())], () => new Response("not here", { status: 404 }));
      const paying = client(gate, { wallet });
      const first = rejection(paying(URL_OF_GATE, toolCall(1)));
      await vi.advanceTimersByTimeAsync(46_000);
      expect(codes(await first)).toEqual(["wait-too-long", "payment-unknown"]);
      expect(codes(await rejection(paying(URL_OF_GATE, toolCall(2))))).toEqual(["payment-unknown", "wait-too-long"]);
      expect(payer.paid).toHaveLength(1);
      arrive();
      await vi.waitFor(() => expect(gate.verified).toHaveLength(1));
      await vi.advanceTimersByTimeAsync(1);
      expect((await paying(URL_OF_GATE, toolCall(3))).status).toBe(200);
      expect(payer.paid).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("the preference", () => {
  // 18 bits are expected to take 0.3 s and 22 bits 4.2 s, each with half a second to post, a payment 3.5 s.
  it.each<[string, RefusalOptions, TurnpikeFetchOptions]>([
    ["solving", { difficulty: 18 }, {}],
    ["solving", { difficulty: 22 }, {}],
    ["paying", { difficulty: 22 }, { satsPerSecond: 100 }],
    ["solving", { difficulty: 18 }, { satsPerSecond: 100 }],
    ["paying", {}, {}],
    ["waiting", { retryAfterMs: 5_000 }, { maxWait: LONG_MS }],
    ["paying", { retryAfterMs: 25_000 }, { maxWait: LONG_MS }],
    ["waiting", { retryAfterMs: 25_000 }, { maxWait: LONG_MS, satsPerSecond: 0 }],
    ["solving", { difficulty: 22 }, { prefer: "pow", satsPerSecond: 100 }],
    ["waiting", { retryAfterMs: 25_000 }, { prefer: "pow", maxWait: LONG_MS }],
    ["paying", { difficulty: 23 }, { prefer: "pow" }],
    ["paying", { difficulty: 8 }, { prefer: "l402" }],
    ["paying", { difficulty: 8, retryAfterMs: 5_000 }, { prefer: "l402", maxWait: LONG_MS }],
    ["waiting", { difficulty: 8, retryAfterMs: 200 }, { prefer: "l402", maxWait: LONG_MS }],
    ["solving", { difficulty: 8 }, { prefer: "l402", maxPriceSats: 1 }],
  ])("is %s for %j with %j", async (way, offers, options) => {
    expect(await wayOf(offers, options)).toBe(way);
  });

  it("counts what was paid until its calls run out, which is after the pass has", async () => {
    const told: string[] = [];
    const gate = scripted([() => toPay({ retryAfterMs: 20_000 }), answer, () => toPay({ retryAfterMs: 2_000 }), answer], () =>
      Response.json({ token: "tpass_x", calls: CALLS, expiresAt: new Date().toISOString(), callsExpireAt: "2999-01-01T00:00:00Z" }),
    );
    const paying = client(gate, { maxWait: LONG_MS, onProgress: ({ kind }) => told.push(kind) });
    await paying(URL_OF_GATE, toolCall(1));
    await new Promise((resolve) => setTimeout(resolve, 5));
    // A wait of 6 sats is less than the invoice's 30, and more than a tenth of it.
    await paying(URL_OF_GATE, toolCall(2));
    expect(told).toEqual(["paying", "paid", "resending", "paying", "paid", "resending"]);
  });

  // By then a proof of 18 bits is known to take 5 s and to be good for ten calls: 1.7 sats for each. The invoice and the time it takes to
  // be paid cost 40 sats, the wait 15, and the proof 17, if it were for one call alone.
  it.each<[string, number]>([
    ["solving", 10],
    ["paying", 40],
  ])("is %s where a bundle is used up early, for the share of one call: an invoice for %i calls", async (way, calls) => {
    const hard = (): Response => refusal({ difficulty: 18, retryAfterMs: 5_000, payment: offer({ calls }) });
    const told: string[] = [];
    const paying = client(scripted([hard, answer, hard, answer]), {
      solve: slowly,
      maxWait: LONG_MS,
      onProgress: ({ kind }) => told.push(kind),
    });
    await paying(URL_OF_GATE, toolCall(1));
    // Refused later than the proof was paid for.
    await new Promise((resolve) => setTimeout(resolve, 5));
    told.length = 0;
    await paying(URL_OF_GATE, toolCall(2));
    expect(told[0]).toBe(way);
  });
});
