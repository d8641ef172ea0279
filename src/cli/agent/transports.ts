/**
 * The official SDK's ends of the bridge. They are the only code of the SDKs that the command runs: the build bundles this
 * file, so that an installed package brings the two classes and not the twenty-five megabytes they are picked from.
 */

export { StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
export { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
