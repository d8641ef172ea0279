/**
 * HTTP/1.1 messages from a socket, as far as a benchmark needs them: where one ends, and the first line. Node's own client
 * costs more of a core than the Worker it would measure.
 */

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

/** For one message at a time: the peer waits for an answer before it sends the next. */
export class MessageReader {
  readonly #onMessage: (head: string) => void;
  #received = "";

  constructor(onMessage: (head: string) => void) {
    this.#onMessage = onMessage;
  }

  read(chunk: Buffer): void {
    // Latin-1, so that a character is a byte and lengths agree.
    this.#received += chunk.toString("latin1");
    const headLength = this.#received.indexOf(HEAD_END);
    if (headLength < 0) return;
    const head = this.#received.slice(0, headLength);
    const bodyLength = this.#received.length - headLength - HEAD_END.length;
    const contentLength = CONTENT_LENGTH.exec(head)?.[1];
    const isWhole =
      contentLength === undefined && CHUNKED.test(head) ? this.#received.endsWith(LAST_CHUNK) : bodyLength >= Number(contentLength ?? 0);
    if (!isWhole) return;
    this.#received = "";
    this.#onMessage(head);
  }
}
