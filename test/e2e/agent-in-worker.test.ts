/** An agent that is itself a Cloudflare Worker: one thread, a clock that stands still while it works, and no workers to start. */

import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ChallengeGate, startChallengeGate } from "../support/challenge-gate.ts";
import { REPO } from "../support/command.ts";
import { toolCall } from "../support/http.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

const AGENT = `
  import { createTurnpikeFetch } from ${JSON.stringify(join(REPO, "src/client/index.ts"))};
  export default {
    async fetch(request) {
      const kinds = [];
      const fetch = createTurnpikeFetch({ maxDifficulty: 18, onProgress: ({ kind }) => kinds.push(kind) });
      const { url, init } = await request.json();
      const answers = [];
      for (let i = 0; i < 4; i++) answers.push((await fetch(url, init)).status);
      return Response.json({ answers, kinds: [...new Set(kinds)] });
    },
  };`;

let origin: Origin;
let gate: ChallengeGate;
let script: string;
beforeAll(async () => {
  origin = await startOrigin();
  gate = await startChallengeGate({ origin: origin.url, burst: 2, perMinute: 1, difficulty: 14 });
  const built = await build({
    stdin: { contents: AGENT, resolveDir: REPO },
    bundle: true,
    write: false,
    format: "esm",
    conditions: ["workerd"],
  });
  script = built.outputFiles[0]!.text;
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});

describe("an agent in a Worker", () => {
  it.each([
    ["with Node's modules", []],
    ["without them", ["no_nodejs_compat", "no_nodejs_compat_v2"]],
  ])("solves its proofs %s", async (name, compatibilityFlags) => {
    const worker = { name: "agent", modules: true, script, compatibilityDate: "2026-10-23", compatibilityFlags };
    const miniflare = new Miniflare(convertV4MiniflareOptions({ host: "127.0.0.1", port: 0, cf: false, workers: [worker] }));
    try {
      const headers = { "Content-Type": "application/json", "X-API-Key": name };
      const init = { method: "POST", headers, body: JSON.stringify(toolCall("count")) };
      const response = await fetch(await miniflare.ready, { method: "POST", body: JSON.stringify({ url: gate.url, init }) });
      expect(await response.json()).toEqual({ answers: [200, 200, 200, 200], kinds: ["solving", "solved", "resending"] });
      expect(gate.offences).toEqual([]);
    } finally {
      await miniflare.dispose();
    }
  });
});
