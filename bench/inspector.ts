/** workerd's inspector (the Chrome DevTools protocol), as far as a heap's true size needs it. */

interface Reply {
  readonly id: number;
  readonly result?: unknown;
}

export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply;
      this.#waiting.get(reply.id)?.(reply.result);
    });
  }

  /** Opens the first Worker of the configuration. */
  static async open(port: number): Promise<Inspector> {
    const answer = await fetch(`http://127.0.0.1:${port}/json`);
    const targets = (await answer.json()) as { webSocketDebuggerUrl: string }[];
    const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error("the inspector cannot be reached")));
    });
    return new Inspector(socket);
  }

  /** After a full garbage collection: the objects, and what array buffers hold beside them. */
  async usedHeapBytes(): Promise<number> {
    // A snapshot collects first. `HeapProfiler.collectGarbage` would be the plain way: workerd never answers it.
    await this.#call("HeapProfiler.takeHeapSnapshot");
    const { usedSize, backingStorageSize } = (await this.#call("Runtime.getHeapUsage")) as { usedSize: number; backingStorageSize: number };
    return usedSize + backingStorageSize;
  }

  close(): void {
    this.#socket.close();
  }

  #call(method: string): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }
}
