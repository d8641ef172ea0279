/** `turnpike pay`: pays an invoice of the local gate with its embedded node, and prints the preimage that proves it. */

import { LocalState } from "./local/state.ts";
import { CliError } from "./package.ts";

export interface PayOptions {
  readonly state: string;
  readonly json?: boolean;
}

const TIMEOUT_MS = 10_000;
/** As wallets read it: any case, with or without the scheme that QR codes carry. */
const INVOICE = /^(?:lightning:)?(ln[a-z\d]+)$/i;
const REGTEST = "lnbcrt";

export async function payCommand(text: string, options: PayOptions): Promise<void> {
  const invoice = INVOICE.exec(text.trim())?.[1]?.toLowerCase();
  if (invoice === undefined) throw new CliError("this is no Lightning invoice: give one that starts with lnbcrt.");
  if (!invoice.startsWith(REGTEST))
    throw new CliError("this invoice is for real money: pay it with a wallet. This command pays invoices of a gate on this machine.");
  const gate = await new LocalState(options.state).running();
  if (!gate?.lightning) throw new CliError(`no gate with a Lightning node is running on the state folder ${options.state}.`);
  const paid = await askNode(gate.lightning, gate.adminToken, invoice);
  if (typeof paid.paymentPreimage !== "string")
    throw new CliError(`not paid: ${typeof paid.reason === "string" ? paid.reason : "the node gives no reason"}.`);
  const { paymentPreimage: preimage, recipientAmountSat: sats } = paid;
  console.log(options.json ? JSON.stringify({ preimage, sats }) : preimage);
}

/** As phoenixd answers. */
interface Payment {
  readonly paymentPreimage?: unknown;
  readonly recipientAmountSat?: unknown;
  readonly reason?: unknown;
}

async function askNode(url: string, password: string, invoice: string): Promise<Payment> {
  let response: Response;
  try {
    response = await fetch(`${url}/payinvoice`, {
      method: "POST",
      headers: { Authorization: `Basic ${Buffer.from(`:${password}`).toString("base64")}` },
      body: new URLSearchParams({ invoice }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new CliError(`the Lightning node at ${url} does not answer: ${String((error as Error).cause ?? error)}`);
  }
  if (!response.ok)
    throw new CliError(`the Lightning node at ${url} answered ${response.status}: ${(await response.text()).slice(0, 200)}`);
  return (await response.json()) as Payment;
}
