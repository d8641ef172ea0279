/** `turnpike connect`: an MCP server behind a gate, on stdio, for hosts that start their servers as commands. */

import { PassThrough } from "node:stream";
import { type CallerOptions, callerHeaders, fetchFor, type PatienceOptions, say, warnOfPlainHttp } from "./agent/options.ts";
import { Bridge } from "./agent/bridge.ts";
import { type PaymentOptions, paymentsFor } from "./agent/payments.ts";

export type ConnectOptions = CallerOptions & PatienceOptions & PaymentOptions;

/** Hosts wait two seconds after they have closed stdin before they kill. */
const LAST_ANSWERS_MS = 1_500;
const END_SESSION_MS = 400;

export async function connectCommand(url: URL, options: ConnectOptions): Promise<void> {
  const { StdioServerTransport, StreamableHTTPClientTransport } = await import("./agent/transports.ts");
  const headers = callerHeaders(options);
  const payments = await paymentsFor(options, false);
  const fetch = fetchFor(options, { ...payments, onProgress: (progress, of) => bridge.onProgress(progress, of) });
  const up = new StreamableHTTPClientTransport(url, { fetch, requestInit: { headers } });
  // The SDK's transport breaks everything off when its input ends; what was asked before that should be answered.
  const input = new PassThrough();
  process.stdin.pipe(input, { end: false });
  const down = new StdioServerTransport(input);
  const bridge = new Bridge(down, up, say);

  const ended = new Promise<void>((resolve) => {
    Object.assign(down, { onclose: resolve });
    for (const event of ["end", "close", "error"] as const) process.stdin.once(event, () => resolve());
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  warnOfPlainHttp(url, headers);
  await bridge.start();
  say(
    `bridging stdio to ${url.origin}${url.pathname}${headers["X-API-Key"] ? ", with an API key" : ""}${payments.wallet ? ", with a wallet" : ""}`,
  );
  await ended;
  await within(LAST_ANSWERS_MS, bridge.idle());
  await within(
    END_SESSION_MS,
    up.terminateSession().catch(() => {}),
  );
  await up.close();
  // Nobody is there for what may still be open.
  process.exit();
}

function within(ms: number, promise: Promise<void>): Promise<void> {
  return Promise.race([promise, new Promise<void>((resolve) => setTimeout(resolve, ms))]);
}
