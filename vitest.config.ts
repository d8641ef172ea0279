import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Most of what the suites do is wait.
    maxWorkers: 3,
    reporters: ["default", "./test/support/closing-line.ts"],
    projects: [
      {
        // Plain functions over plain data: no Worker, no network, and nothing that one file could leave for the next.
        test: {
          name: "pure",
          isolate: false,
          environment: "node",
          testTimeout: 30_000,
          include: ["test/{limits,mcp,consumers,refusals,origin,challenges,tools,client}/**/*.test.ts"],
        },
      },
      {
        // Inside workerd: the consumer's object, with real storage, eviction and alarms. No two tests use an object or a key of one name.
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
        test: { name: "workerd", isolate: false, include: ["test/workerd/**/*.test.ts"], testTimeout: 30_000 },
      },
      {
        // The `turnpike` command as users start it, real sockets, real MCP clients and servers.
        test: {
          name: "e2e",
          environment: "node",
          // The command is started some hundred times: once compiled is enough.
          env: { NODE_COMPILE_CACHE: join(tmpdir(), "turnpike-test-compile-cache") },
          include: ["test/{cli,e2e,incidents,lightning}/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
