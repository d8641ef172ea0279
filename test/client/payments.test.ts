import { beforeEach, describe, expect, it, vi } from "vitest";
import {
  createTurnpikeFetch,
  type FetchLike,
  type ObstacleCode,
  PaymentFailedError,
  type Progress,
  type SolvePow,
  TurnpikeError,
  type TurnpikeFetchOptions,
  type Wallet,
} from "../../src/client/index.ts";
import { type AnyInvoiceOptions, makeAnyInvoice } from "../support/any-invoice.ts";
import { BookWallet } from "../support/book-wallet.ts";
import { answer, refusal, type RefusalOptions, scripted, type Scripted, toolCall, URL_OF_GATE } from "./scripted-gate.ts";

/** What waits would take longer than any test. */
const LONG_MS = 30_000;
const PRICE_SATS = 30;
const CALLS = 10;
const MACAROON = "AgEEbHNhdAJCAAA=";
const L402 = /^L402 AgEEbHNhdAJCAAA=:[0-9a-f]{64}$/;

let payer: BookWallet;
beforeEach(() => {
  payer = new BookWallet();
});

function issue(): string {
  return payer.book.create({ sats: PRICE_SATS, description: "calls", expirySeconds: 600 }, Date.now()).invoice;
}

/** An offer whose invoice the payer can pay. */
function offer(more: Readonly<Record<string, unknown>> = {}) {
  return { type: "l402", macaroon: MACAROON, invoice: issue(), priceSats: PRICE_SATS, calls: CALLS, ...more };
}

/** An offer with another invoice than the gate's node would make. */
function oddOffer(options: Partial<AnyInvoiceOptions>) {
  return offer({ invoice: makeAnyInvoice({ amount: "300n", ...options }).invoice });
}

const toPay = (more: RefusalOptions = {}): Response => refusal({ payment: offer(), retryAfterMs: LONG_MS, ...more });

/** What is refused in the millisecond of a purchase counts as refused before it: this is not. */
async function toPayLater(): Promise<Response> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return toPay();
}

const lost = (): Promise<Response> => Promise.reject(new TypeError("connection lost"));
const busy = (): Response => new Response("not now", { status: 503 });
const pending = (): Response => refusal({ status: 503, cause: "capacity", retryAfterMs: 40 });
const spent = (): Response => Response.json({ type: "urn:turnpike:problem:spent-payment", title: "Payment used up" }, { status: 409 });

const solving: SolvePow = ({ id, salt, signature }) =>
  Promise.resolve({ ok: true, solution: { id, salt, nonce: "n", signature }, tries: 1, elapsedMs: 1 });

function client(gate: Scripted, options: TurnpikeFetchOptions = {}) {
  return createTurnpikeFetch({ fetch: gate.fetch, wallet: payer, network: "regtest", maxWait: 0, solve: solving, ...options });
}

async function rejection(promise: Promise<unknown>): Promise<TurnpikeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TurnpikeError);
  return error as TurnpikeError;
}

function codes({ obstacles }: TurnpikeError): ObstacleCode[] {
  return obstacles.map(({ code }) => code);
}

function isPosted(gate: Scripted, index = 0): object {
  return JSON.parse(String(gate.verified[index]!.body)) as object;
}

const now = Math.floor(Date.now() / 1_000);

/** An invoice that has expired by the gate's clock, and would not have by that of this machine. */
function late(): Response {
  const response = refusal({ payment: oddOffer({ createdAt: now + 5_000, expirySeconds: 60 }), retryAfterMs: LONG_MS });
  response.headers.set("Date", new Date((now + 5_100) * 1_000).toUTCString());
  return response;
}

function failing(error: Error): Wallet & { asked: number } {
  return {
    asked: 0,
    payInvoice() {
      this.asked++;
      return Promise.reject(error);
    },
  };
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
    expect(isPosted(gate)).toEqual({ macaroon: MACAROON, preimage: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
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
    expect(isPosted(proof)).toHaveProperty("nonce");
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
      const takes = (sent: { headers: Headers }) => L402.test(sent.headers.get("authorization") ?? "");
      const gate = scripted([(sent) => (takes(sent) ? answer() : toPay())], () => new Response("not here", { status: 404 }));
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

describe("a gate that does not take the preimage", () => {
  const untaken = [
    () => new Response("not here", { status: 404 }),
    () => new Response("<html>a page</html>"),
    lost,
    () => new Response(null, { status: 302, headers: { Location: "https://evil.example/" } }),
  ];

  it("is shown the credential with the call, in Authorization where that is free", async () => {
    for (const verify of untaken) {
      const gate = scripted([(sent) => (L402.test(sent.headers.get("authorization") ?? "") ? answer() : toPay())], verify);
      expect((await client(gate)(URL_OF_GATE, toolCall())).status).toBe(200);
      expect(gate.sent[1]!.headers.get("x-api-key")).toBe("tp_key");
    }
    expect(payer.paid).toHaveLength(untaken.length);
  });

  it("is shown it in Turnpike-Pass beside another Authorization", async () => {
    const gate = scripted([(sent) => (L402.test(sent.headers.get("turnpike-pass") ?? "") ? answer() : toPay())], untaken[0]);
    expect((await client(gate)(URL_OF_GATE, toolCall(7, { Authorization: "Bearer other" }))).status).toBe(200);
    expect(gate.sent[1]!.headers.get("authorization")).toBe("Bearer other");
  });

  it("is shown it with later calls as well, until it is refused", async () => {
    const worth = new Map<string, number>();
    const gate = scripted(
      [
        (sent) => {
          const credential = sent.headers.get("authorization");
          if (credential === null) return toPay();
          const left = worth.get(credential) ?? 4;
          worth.set(credential, left - 1);
          return left > 0 ? answer() : toPay();
        },
      ],
      untaken[0],
    );
    const paying = client(gate);
    for (let id = 0; id < 6; id++) expect((await paying(URL_OF_GATE, toolCall(id))).status).toBe(200);
    expect([...worth.values()]).toEqual([-1, 2]);
    expect(payer.paid).toHaveLength(2);
  });

  it("is any L402 server: an invoice in the header alone is paid, and its token used until it is refused", async () => {
    let worth = 3;
    const gate = scripted(
      [
        (sent) => {
          if (sent.headers.has("authorization") && worth-- > 0) return answer();
          const headers = { "WWW-Authenticate": `LSAT macaroon="${MACAROON}", invoice="${issue()}", L402 macaroon="x", invoice="y"` };
          return new Response("payment required", { status: 402, headers });
        },
      ],
      untaken[0],
    );
    const paying = client(gate);
    for (let id = 0; id < 3; id++) expect((await paying(URL_OF_GATE, toolCall(id))).status).toBe(200);
    expect(payer.paid).toHaveLength(1);
  });
});

/** What the gate answers whom it knows by an address, which others share. */
const toBeShown = (calls = CALLS) => {
  const [expiresAt, callsExpireAt] = [300_000, 2_592_000_000].map((ms) => new Date(Date.now() + ms).toISOString());
  return Response.json({ token: "tpass_x", calls, expiresAt, callsExpireAt, mustBeShown: true });
};
const anonymousCall = (id: number): RequestInit => {
  const { method, headers, body } = toolCall(id);
  const { "X-API-Key": _, ...others } = headers as Record<string, string>;
  return { method: method!, headers: others, body };
};

/** Takes calls by what they show, each so often. @param refuse how it refuses the others */
function paidByShowing(often: number, refuse: () => Response = () => toPay()) {
  const left = new Map<string, number>();
  return ({ headers }: { headers: Headers }): Response => {
    const credential = headers.get("authorization");
    if (credential === null) return toPay();
    const calls = left.get(credential) ?? often;
    left.set(credential, calls - 1);
    return calls > 0 ? answer() : refuse();
  };
}

describe("a gate that wants to be shown what was paid", () => {
  it("is shown the credential from the start of each call until it is used up, so that none is sent twice", async () => {
    const gate = scripted([paidByShowing(3)], () => toBeShown(3));
    const paying = client(gate);
    for (let id = 1; id <= 7; id++) expect((await paying(URL_OF_GATE, anonymousCall(id))).status).toBe(200);
    expect(gate.sent.map(({ body }) => (JSON.parse(String(body)) as { id: number }).id)).toEqual([1, 1, 2, 3, 4, 4, 5, 6, 7, 7]);
    for (const { headers } of gate.sent.slice(1)) expect(headers.get("authorization")).toMatch(L402);
    expect(gate.sent.some(({ headers }) => headers.has("turnpike-pass"))).toBe(false);
    expect(payer.paid).toHaveLength(3);
  });

  it("and refuses without an offer makes its calls wait, and pay nothing: what is paid is still good", async () => {
    const gate = scripted([() => toPay(), answer, () => refusal({ retryAfterMs: 30 }), answer, answer], () => toBeShown());
    const paying = client(gate, { maxWait: LONG_MS });
    for (let id = 1; id <= 3; id++) expect((await paying(URL_OF_GATE, anonymousCall(id))).status).toBe(200);
    expect(payer.paid).toHaveLength(1);
    expect(gate.sent.slice(1).every(({ headers }) => L402.test(headers.get("authorization") ?? ""))).toBe(true);
    expect(gate.sent[3]!.at - gate.sent[2]!.at).toBeGreaterThanOrEqual(30);
  });

  it("is shown it where the calls were refused, and nowhere else on its site", async () => {
    const gate = scripted([paidByShowing(9)], () => toBeShown());
    const paying = client(gate);
    await paying(URL_OF_GATE, anonymousCall(1));
    await paying(new URL("/token", URL_OF_GATE), { method: "POST", body: "{}" });
    await paying(`${URL_OF_GATE}?session=1`, anonymousCall(2));
    expect(gate.sent.slice(2).map(({ headers }) => headers.has("authorization"))).toEqual([false, true, true]);
  });
});

describe("a gate that cannot count a payment yet", () => {
  it("is shown it again after the time that it has told, and nothing else is paid", async () => {
    let isPending = true;
    const gate = scripted(
      [
        ({ headers }) => {
          if (!headers.has("authorization")) return toPay();
          const is = isPending;
          isPending = false;
          return is ? pending() : answer();
        },
      ],
      pending,
    );
    const paying = client(gate, { maxWait: LONG_MS });
    expect((await paying(URL_OF_GATE, toolCall(1))).status).toBe(200);
    expect(gate.sent).toHaveLength(3);
    expect(gate.sent[2]!.at - gate.sent[1]!.at).toBeGreaterThanOrEqual(40);
    // It has been taken: it is shown from the start.
    expect((await paying(URL_OF_GATE, toolCall(2))).status).toBe(200);
    expect(gate.sent).toHaveLength(4);
    expect(payer.paid).toHaveLength(1);
  });

  it("and has, when its answers were lost, and its calls are used up, is paid anew", async () => {
    const answers = [lost, lost, lost, spent, () => Response.json({ token: "tpass_x", calls: 10 })];
    const gate = scripted([({ headers }) => (headers.has("turnpike-pass") ? answer() : toPay())], () => answers.shift()!());
    const paying = client(gate);
    expect((await rejection(paying(URL_OF_GATE, toolCall(1)))).untaken).not.toBeNull();
    expect((await paying(URL_OF_GATE, toolCall(2))).status).toBe(200);
    expect(payer.paid).toHaveLength(2);
  });
});

describe("what is paid for is never paid for twice", () => {
  it("one call pays once, even when it is refused again after the gate took the payment", async () => {
    const gate = scripted([toPayLater]);
    const error = await rejection(client(gate)(URL_OF_GATE, toolCall()));
    expect(codes(error)).toEqual(["paid-already", "wait-too-long"]);
    expect(error.message).toContain("it was paid for already, and is not paid for twice");
    expect(payer.paid).toHaveLength(1);
    expect(gate.sent).toHaveLength(2);
  });

  it("a purchase is shared by the calls that are refused together", async () => {
    let credits = 0;
    payer.payMs = 20;
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") && credits-- > 0 ? answer() : toPay())], () => {
      credits += 4;
      return Response.json({ token: "tpass_x", calls: 4 });
    });
    const paying = client(gate, { budgetSats: 60 });
    const responses = await Promise.all(Array.from({ length: 8 }, (_, id) => paying(URL_OF_GATE, toolCall(id))));
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(payer.paid).toHaveLength(2);
    expect(payer.offences).toEqual([]);
  });

  it("a call may join the purchase that has used up the budget", async () => {
    payer.payMs = 60;
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : toPay())]);
    const paying = client(gate, { budgetSats: 30 });
    const first = paying(URL_OF_GATE, toolCall(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = paying(URL_OF_GATE, toolCall(2));
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
    expect(payer.paid).toHaveLength(1);
  });

  it("an invoice that was offered to several calls is paid once: the others are sent again to be offered another", async () => {
    payer.payMs = 20;
    const shared = offer({ calls: 1 });
    let credits = 0;
    const gate = scripted(
      [
        () => toPay({ payment: shared }),
        () => toPay({ payment: shared }),
        () => (credits-- > 0 ? answer() : toPay({ payment: offer({ calls: 1 }) })),
      ],
      () => {
        credits = 1;
        return Response.json({ token: "tpass_x", calls: 1 });
      },
    );
    const paying = client(gate);
    const responses = await Promise.all([1, 2].map((id) => paying(URL_OF_GATE, toolCall(id))));
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    expect(payer.paid).toHaveLength(2);
    expect(payer.offences).toEqual([]);
  });

  it("nor is one of which nobody knows whether it is paid", async () => {
    const shared = offer();
    const wallet = failing(new Error("reply timeout"));
    const paying = client(scripted([() => toPay({ payment: shared })]), { wallet });
    for (let id = 0; id < 2; id++) {
      expect(codes(await rejection(paying(URL_OF_GATE, toolCall(id))))).toEqual(["wait-too-long", "payment-unknown"]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(wallet.asked).toBe(1);
  });

  it("nothing is shared across keys, but the budget", async () => {
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : toPay())]);
    const paying = client(gate, { budgetSats: 60 });
    const calls = ["a", "b", "c"].map((key) => paying(URL_OF_GATE, toolCall(1, { "X-API-Key": key })));
    const settled = await Promise.allSettled(calls);
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(new Set(gate.verified.map(({ headers }) => headers.get("x-api-key")))).toEqual(new Set(["a", "b"]));
    expect(payer.paidSats).toBe(60);
  });

  it("a call that is aborted while it pays ends at once, and what it bought is there for the next", async () => {
    payer.payMs = 80;
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : toPay())]);
    const paying = client(gate, { budgetSats: 30 });
    const aborter = new AbortController();
    const first = paying(URL_OF_GATE, { ...toolCall(1), signal: aborter.signal });
    setTimeout(() => aborter.abort(new Error("enough")), 20);
    await expect(first).rejects.toThrow("enough");
    expect((await paying(URL_OF_GATE, toolCall(2))).status).toBe(200);
    expect(gate.verified).toHaveLength(1);
    expect(payer.paid).toHaveLength(1);
  });

  it("what is on the account does not help against limits that money does not lift", async () => {
    const gate = scripted([() => toPay(), () => refusal({ cause: "concurrency", retryAfterMs: LONG_MS }), answer]);
    const error = await rejection(client(gate)(URL_OF_GATE, toolCall()));
    expect(codes(error)).toEqual(["wait-too-long"]);
    expect(gate.sent).toHaveLength(2);
  });
});

describe("what is paid is not lost", () => {
  it("the preimage is posted again when it did not arrive, or the gate could not take it", async () => {
    const answers = [lost, busy, () => Response.json({ token: "tpass_x", calls: 10 })];
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : toPay())], () => answers.shift()!());
    expect((await client(gate)(URL_OF_GATE, toolCall())).status).toBe(200);
    expect(gate.verified.map(({ body }) => body)).toEqual(Array.from({ length: 3 }, () => gate.verified[0]!.body));
    expect(payer.paid).toHaveLength(1);
  });

  it("but not when the gate says that it does not take it", async () => {
    const gate = scripted([() => toPay()], () => new Response("unknown key", { status: 400 }));
    await rejection(client(gate)(URL_OF_GATE, toolCall()));
    expect(gate.verified).toHaveLength(1);
  });

  it("a call that ends without it says so, with what a person needs to use it", async () => {
    const gate = scripted([() => toPay()], busy);
    const told: Progress[] = [];
    const error = await rejection(client(gate, { onProgress: (progress) => told.push(progress) })(URL_OF_GATE, toolCall()));
    const credential = { macaroon: MACAROON, preimage: payer.paid[0]!.preimage };
    expect(codes(error)).toEqual(["payment-not-taken", "wait-too-long"]);
    expect(error.untaken).toEqual(credential);
    expect(error.message).toContain(`"Authorization: L402 ${credential.macaroon}:${credential.preimage}"`);
    expect(told.at(-1)).toEqual({ kind: "untaken", credential });
  });

  it.each<[string, RefusalOptions, number]>([
    ["another limit that refuses it", { cause: "concurrency" }, 0],
    ["a loop", { cause: "repeat" }, 0],
    ["the last of three refusals", {}, LONG_MS],
  ])("also when it ends by %s", async (_, last, maxWait) => {
    const gate = scripted([() => toPay(), () => refusal({ ...last, retryAfterMs: 20 }), () => refusal(last)], busy);
    expect((await rejection(client(gate, { maxWait })(URL_OF_GATE, toolCall()))).untaken).not.toBeNull();
  });

  it("the next call hands it in, and nothing more is paid before the gate has taken it", async () => {
    let isBusy = true;
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : toPay())], () =>
      isBusy ? busy() : Response.json({ token: "tpass_x", calls: 1 }),
    );
    const paying = client(gate, { budgetSats: 60 });
    for (let id = 0; id < 2; id++) expect((await rejection(paying(URL_OF_GATE, toolCall(id)))).untaken).not.toBeNull();
    isBusy = false;
    expect((await paying(URL_OF_GATE, toolCall(3))).status).toBe(200);
    expect(payer.paid).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await paying(URL_OF_GATE, toolCall(4))).status).toBe(200);
    expect(payer.paid).toHaveLength(2);
  });

  it("a token of which the gate knows nothing is kept, however many others call through the same client", async () => {
    const gate = scripted(
      [({ headers }) => (headers.has("authorization") || headers.has("turnpike-pass") ? answer() : toPay())],
      ({ headers }) =>
        headers.get("x-api-key") === "first" ? new Response("not here", { status: 404 }) : Response.json({ token: "tpass_x", calls: 1 }),
    );
    const paying = client(gate, { budgetSats: 10_000 });
    for (const key of ["first", ...Array.from({ length: 64 }, (_, i) => `other ${i}`), "first"])
      expect((await paying(URL_OF_GATE, toolCall(1, { "X-API-Key": key }))).status).toBe(200);
    expect(payer.paid).toHaveLength(65);
  });

  it("nothing is kept of what the gate has taken", async () => {
    const gate = scripted([toPayLater]);
    const error = await rejection(client(gate)(URL_OF_GATE, toolCall()));
    expect(error.untaken).toBeNull();
    expect(error.message).not.toContain("L402");
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
