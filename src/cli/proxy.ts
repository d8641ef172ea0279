/** `turnpike proxy`: an MCP server behind a gate, on loopback HTTP, for clients that take a URL only and do not wait, solve or pay. */

import type { AddressInfo } from "node:net";
import { createLoopback } from "./agent/loopback.ts";
import { type CallerOptions, callerHeaders, fetchFor, type PatienceOptions, say, warnOfPlainHttp } from "./agent/options.ts";
import { type PaymentOptions, paymentsFor } from "./agent/payments.ts";
import { wordProgress } from "./agent/wording.ts";
import { CliError } from "./package.ts";

export interface ProxyOptions extends CallerOptions, PatienceOptions, PaymentOptions {
  readonly port: number;
}

/** Nobody but this machine: what passes here carries this user's key. */
const LOOPBACK_ADDRESS = "127.0.0.1";

export async function proxyCommand(url: URL, options: ProxyOptions): Promise<void> {
  const headers = callerHeaders(options);
  warnOfPlainHttp(url, headers);
  let isSolving = false;
  const payments = await paymentsFor(options, true);
  const fetch = fetchFor(options, {
    ...payments,
    giveUp: "respond",
    onProgress(progress) {
      // Four times a second is too much for a log.
      if (progress.kind !== "solving" || !isSolving) say(wordProgress(progress));
      isSolving = progress.kind === "solving";
    },
  });
  const server = createLoopback({ to: url, headers, fetch });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new CliError(`port ${options.port} is in use. Choose another with --port.`) : error);
    });
    server.listen(options.port, LOOPBACK_ADDRESS, resolve);
  });
  const { port } = server.address() as AddressInfo;
  console.log(`http://${LOOPBACK_ADDRESS}:${port}${url.pathname}`);
  const means = `${headers["X-API-Key"] ? ", with an API key" : ""}${payments.wallet ? ", with a wallet" : ""}`;
  say(`the address above leads to ${url.origin}${url.pathname}${means}. Ctrl-C stops it.`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      server.close(() => process.exit());
      server.closeAllConnections();
    });
  }
}
