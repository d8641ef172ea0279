/**
 * The MCP server behind all cases, in a process of its own: it takes a message and answers a small tool result. It speaks
 * HTTP straight on the socket, because a whole HTTP server would take the machine's second core from what is measured.
 * Prints its port.
 */

import { createServer } from "node:net";
import { MessageReader } from "./http-message.ts";

const BODY = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { content: [{ type: "text", text: "Found 3 open issues in turnpike." }] } });
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`;

const server = createServer({ noDelay: true }, (socket) => {
  const reader = new MessageReader(() => socket.write(ANSWER));
  socket.on("data", (chunk) => reader.read(chunk));
  // A gate that is stopped leaves its connections behind.
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address) console.log(address.port);
});
