/** What a message is about, for the rules that go by name. */

import type { Message } from "./message.ts";

/** A tool's or prompt's name, or a resource's URI. Empty for other messages. */
export function subjectOf(message: Message): string {
  if (message.kind !== "request") return "";
  const subject = message.method === "resources/read" ? message.params["uri"] : message.params["name"];
  return typeof subject === "string" ? subject : "";
}
