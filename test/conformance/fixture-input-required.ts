/** Tools and a prompt of 2026-07-28 that need something of the client before they can answer (SEP-2322). */

import {
  acceptedContent,
  type InputRequest,
  inputRequired,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";

const PREFIX = "test_input_required_result_";
const MAX_TOKENS = 100;

type Answer = string | ReturnType<typeof inputRequired>;

/** An elicitation of one required field. */
function askFor(message: string, field: string, type: "string" | "boolean" = "string"): InputRequest {
  const schema = type === "string" ? { type: "string" as const } : { type: "boolean" as const };
  return inputRequired.elicit({ message, requestedSchema: { type: "object", properties: { [field]: schema }, required: [field] } });
}

/** What the client of a 2026-07-28 request says that it can do. */
function declaredCapabilities({ mcpReq }: ServerContext): Readonly<Record<string, unknown>> {
  const envelope = mcpReq.envelope as Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  return envelope?.["io.modelcontextprotocol/clientCapabilities"] ?? {};
}

function sample(question: string): InputRequest {
  return inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text: question } }], maxTokens: MAX_TOKENS });
}

/** The accepted value of one field, when it has come. */
function given(context: ServerContext, key: string, field: string): string | undefined {
  const value = acceptedContent(context.mcpReq.inputResponses, key)?.[field];
  return typeof value === "string" || typeof value === "boolean" ? String(value) : undefined;
}

export function registerInputRequired(server: McpServer, states: RequestStateCodec<string>): void {
  const tool = (name: string, answer: (context: ServerContext) => Answer | Promise<Answer>): void => {
    server.registerTool(
      PREFIX + name,
      { description: `Needs input of the client: ${name}.`, inputSchema: z.object({}) },
      async (_input, context) => {
        const answered = await answer(context);
        return typeof answered === "string" ? { content: [{ type: "text" as const, text: answered }] } : answered;
      },
    );
  };

  tool("elicitation", (context) => {
    const name = given(context, "user_name", "name");
    if (name === undefined) return inputRequired({ inputRequests: { user_name: askFor("What is your name?", "name") } });
    return `Hello, ${name}!`;
  });

  tool("sampling", (context) => {
    const sampled = inputResponse(context.mcpReq.inputResponses, "capital_question");
    if (sampled.kind === "missing") return inputRequired({ inputRequests: { capital_question: sample("What is the capital of France?") } });
    return `The model says: ${JSON.stringify(sampled)}`;
  });

  tool("list_roots", (context) => {
    const roots = inputResponse(context.mcpReq.inputResponses, "client_roots");
    if (roots.kind === "missing") return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    return `The roots are: ${JSON.stringify(roots)}`;
  });

  tool("request_state", async (context) => {
    const state = context.mcpReq.requestState<string>();
    if (state === "asked" && given(context, "confirm", "ok") !== undefined) return "state-ok";
    return inputRequired({
      inputRequests: { confirm: askFor("Please confirm", "ok", "boolean") },
      requestState: await states.mint("asked"),
    });
  });

  tool("multiple_inputs", async (context) => {
    const { inputResponses } = context.mcpReq;
    const name = given(context, "user_name", "name");
    const hasAll = ["greeting", "client_roots"].every((key) => inputResponse(inputResponses, key).kind !== "missing");
    if (name !== undefined && hasAll) return `All is there, ${name}.`;
    return inputRequired({
      inputRequests: {
        user_name: askFor("What is your name?", "name"),
        greeting: sample("Generate a greeting"),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await states.mint("asked for all"),
    });
  });

  tool("multi_round", async (context) => {
    const round = context.mcpReq.requestState<string>();
    const color = round === "round 2" ? given(context, "step2", "color") : undefined;
    if (color !== undefined) return `Your favorite color is ${color}.`;
    if (round === "round 1" && given(context, "step1", "name") !== undefined) {
      return inputRequired({
        inputRequests: { step2: askFor("Step 2: What is your favorite color?", "color") },
        requestState: await states.mint("round 2"),
      });
    }
    return inputRequired({
      inputRequests: { step1: askFor("Step 1: What is your name?", "name") },
      requestState: await states.mint("round 1"),
    });
  });

  tool("tampered_state", async (context) => {
    if (context.mcpReq.requestState<string>() === "untouched") return "The state is as it was.";
    return inputRequired({
      inputRequests: { confirm: askFor("Please confirm", "ok", "boolean") },
      requestState: await states.mint("untouched"),
    });
  });

  tool("capabilities", (context) => {
    const declared = declaredCapabilities(context);
    const inputRequests: Record<string, InputRequest> = {};
    if (declared["elicitation"]) inputRequests["user_name"] = askFor("What is your name?", "name");
    if (declared["sampling"]) inputRequests["greeting"] = sample("Generate a greeting");
    return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : "Nothing can be asked of this client.";
  });

  // What is asked of a client that has not declared it, the SDK turns into -32021.
  server.registerTool(
    "test_missing_capability",
    { description: "Needs a client that can sample.", inputSchema: z.object({}) },
    (_input, { mcpReq }) => {
      const sampled = inputResponse(mcpReq.inputResponses, "needed");
      if (sampled.kind === "missing") return inputRequired({ inputRequests: { needed: sample("Can you?") } });
      return { content: [{ type: "text" as const, text: "The client can sample." }] };
    },
  );

  server.registerPrompt(`${PREFIX}prompt`, { description: "A prompt that needs input of the client." }, (context) => {
    const wanted = given(context, "user_context", "context");
    if (wanted === undefined) {
      return inputRequired({ inputRequests: { user_context: askFor("What context should the prompt use?", "context") } });
    }
    return { messages: [{ role: "user" as const, content: { type: "text" as const, text: `In the context of ${wanted}.` } }] };
  });
}
