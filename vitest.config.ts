import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Most of what the suites do is wait.
    maxWorkers: 3,
    reporters: ["default", "./test/support/closing-line.ts"],
    projects: [
      {
        // Plain functions over plain data: no Worker, no network.
        test: {
          name: "pure",
          environment: "node",
          testTimeout: 30_000,
          include: ["test/{limits,mcp,consumers,refusals,origin,challenges,tools,client}/**/*.test.ts"],
        },
      },
      {
        // Inside workerd: the consumer's object, with real storage, eviction and alarms.
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
        test: { name: "workerd", include: ["test/workerd/**/*.test.ts"], testTimeout: 30_000 },
      },
      {
        // The `turnpike` command as users start it, real sockets, real MCP clients and servers.
        test: {
          name: "e2e",
          environment: "node",
          include: ["test/{cli,e2e,incidents,lightning}/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
