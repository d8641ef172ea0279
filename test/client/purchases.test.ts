import { describe, expect, it } from "vitest";
import type { Progress } from "../../src/client/index.ts";
import { CALLS, client, codes, failing, issue, L402, LONG_MS, MACAROON, offer, payAnew, payer, rejection, toPay } from "./payer.ts";
import { answer, refusal, type RefusalOptions, scripted, toolCall, URL_OF_GATE } from "./scripted-gate.ts";

payAnew();

/** What is refused in the millisecond of a purchase counts as refused before it: this is not. */
async function toPayLater(): Promise<Response> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return toPay();
}

const lost = (): Promise<Response> => Promise.reject(new TypeError("connection lost"));
const busy = (): Response => new Response("not now", { status: 503 });
const pending = (): Response => refusal({ status: 503, cause: "capacity", retryAfterMs: 40 });
const spent = (): Response => Response.json({ type: "urn:turnpike:problem:spent-payment", title: "Payment used up" }, { status: 409 });

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
