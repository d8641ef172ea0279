/**
 * The bridge between a host on stdio and a server behind a gate: every message passes as it is, in both eras. What the
 * bridge adds are the answers that HTTP cannot give by itself (a refusal, a lost connection), and the host's progress display.
 */

import type { StreamableHTTPClientTransport, Transport } from "@modelcontextprotocol/client";
import type { Progress, ProgressOf } from "../../client/index.ts";
import {
  cancelledIdOf,
  errorAnswer,
  isModern,
  type Message,
  messageOf,
  nameOf,
  progressTokenOf,
  type RequestId,
  requestIdOf,
  responseIdOf,
} from "./json-rpc.ts";
import { wordProgress } from "./wording.ts";

/** So small that whatever the server itself tells afterwards is more: progress must increase. */
const PROGRESS_STEP = 1e-6;

/** A request of the host's that has not been answered yet. */
interface Open {
  readonly request: Message;
  readonly aborter: AbortController;
  /** Whether it is kept here, after a refusal: then the server has not seen it. */
  isKept: boolean;
  progressTold: number;
}

export class Bridge {
  readonly #down: Transport;
  readonly #up: StreamableHTTPClientTransport;
  readonly #say: (line: string) => void;
  readonly #open = new Map<string, Open>();
  #onIdle: (() => void) | null = null;
  /** On stdio nothing keeps requests from arriving before `notifications/initialized` has; over HTTP they wait for it. */
  #initialized: Promise<void> = Promise.resolve();

  /**
   * @param down to the host
   * @param up to the gate; its fetch should tell its progress to `onProgress`
   * @param say a line for the person
   */
  constructor(down: Transport, up: StreamableHTTPClientTransport, say: (line: string) => void) {
    this.#down = down;
    this.#up = up;
    this.#say = say;
  }

  async start(): Promise<void> {
    const fromHost: Partial<Transport> = {
      onmessage: (message) => void this.#fromHost(message),
      onerror: (error) => this.#say(`from the host: ${messageOf(error)}`),
    };
    const fromServer: Partial<Transport> = {
      onmessage: (message) => this.#fromServer(message),
      onerror: (error) => this.#say(messageOf(error)),
    };
    Object.assign(this.#down, fromHost);
    Object.assign(this.#up, fromServer);
    await this.#up.start();
    await this.#down.start();
  }

  /** Resolves when every request has been answered. */
  async idle(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  onProgress(progress: Progress, { body }: ProgressOf): void {
    const open = body === null ? undefined : this.#openNamedIn(body);
    if (!open) return;
    const isFirst = !open.isKept;
    open.isKept = progress.kind !== "resending";
    const words = wordProgress(progress);
    // Four times a second is for a display, not for a log.
    if (progress.kind !== "solving" || isFirst) this.#say(`${nameOf(open.request)}: ${words}`);
    const progressToken = progressTokenOf(open.request);
    if (progressToken === null) return;
    open.progressTold += PROGRESS_STEP;
    const params = { progressToken, progress: open.progressTold, message: words };
    this.#toHost({ jsonrpc: "2.0", method: "notifications/progress", params });
  }

  async #fromHost(message: Message): Promise<void> {
    const cancelled = cancelledIdOf(message);
    if (cancelled !== null && this.#cancel(cancelled)) return;
    const id = requestIdOf(message);
    if (id === null) {
      // What goes wrong is told by onerror; a notification has no answer.
      const sent = this.#up.send(message).catch(() => {});
      if (nameOf(message) === "notifications/initialized") this.#initialized = sent;
      return sent;
    }
    const open: Open = { request: message, aborter: new AbortController(), isKept: false, progressTold: 0 };
    this.#open.set(keyOf(id), open);
    const fail = (error: unknown): void => {
      if (this.#close(id, open) && !open.aborter.signal.aborted) this.#toHost(errorAnswer(id, error));
    };
    try {
      await this.#initialized;
      await this.#up.send(message, {
        requestSignal: open.aborter.signal,
        onRequestStreamEnd: () =>
          fail(new Error("The connection ended before the answer was there. Whether the call has run is not known.")),
      });
    } catch (error) {
      fail(error);
    }
  }

  #fromServer(message: Message): void {
    const id = responseIdOf(message);
    const open = id === null ? undefined : this.#open.get(keyOf(id));
    if (id !== null && open) {
      this.#close(id, open);
      if (nameOf(open.request) === "initialize" && "result" in message) {
        const version = message.result["protocolVersion"];
        if (typeof version === "string") this.#up.setProtocolVersion(version);
      }
    }
    this.#toHost(message);
  }

  /**
   * Ends a request that the host cancels. True when that is all there is to do: the server has not seen it, or sees the connection
   * end, which is how the modern era cancels over HTTP; in the handshake era the notification goes on.
   */
  #cancel(id: RequestId): boolean {
    const open = this.#open.get(keyOf(id));
    if (!open || !(open.isKept || isModern(open.request))) return false;
    open.aborter.abort();
    this.#close(id, open);
    return true;
  }

  /** False when it is closed already. */
  #close(id: RequestId, open: Open): boolean {
    if (this.#open.get(keyOf(id)) !== open) return false;
    this.#open.delete(keyOf(id));
    if (this.#open.size === 0) this.#onIdle?.();
    return true;
  }

  #openNamedIn(body: string): Open | undefined {
    const id = requestIdOf(JSON.parse(body) as Message);
    return id === null ? undefined : this.#open.get(keyOf(id));
  }

  #toHost(message: Message): void {
    this.#down.send(message).catch((error: unknown) => this.#say(`to the host: ${messageOf(error)}`));
  }
}

/** 1 and "1" are two ids. */
function keyOf(id: RequestId): string {
  return `${typeof id} ${id}`;
}
