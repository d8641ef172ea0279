/** One kept-alive connection to a gate: a call at a time, and the answer's head when it is there to its end. */

import { connect, type Socket } from "node:net";
import { MessageReader } from "./http-message.ts";

export class Connection {
  readonly #socket: Socket;
  #onAnswer: (head: string) => void = () => {};
  #onFailure: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new MessageReader((head) => this.#onAnswer(head));
    socket.on("data", (chunk) => reader.read(chunk));
    socket.on("error", (error) => this.#onFailure(error));
    socket.on("close", () => this.#onFailure(new Error("the server closed the connection")));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Connection(socket);
  }

  /** @param call from `callWriter` */
  send(call: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#onAnswer = resolve;
      this.#onFailure = reject;
      this.#socket.write(call, "latin1");
    });
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.destroy();
  }
}

export function statusOf(head: string): number {
  return Number(head.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
}
