/** The MCP server that the official conformance suite is run against, with the names that the suite asks for. */

import { type DualEraServer, serveDualEra } from "../support/dual-era.ts";
import { createFixtureServer } from "./fixture-server.ts";

export function startFixture(): Promise<DualEraServer> {
  return serveDualEra(createFixtureServer);
}
