/**
 * One place under two names: clients know the MCP server by the gate's host name, and the server knows itself by its own.
 * URLs are turned from one into the other as text, so that nothing about them changes but the name, and the way back gives
 * exactly what there was.
 */

import type { OriginTarget } from "../resolve-policy.ts";

export interface SiteNames {
  /** Scheme, host and port on either side, as in `URL.origin`. */
  readonly gate: string;
  readonly origin: string;
  /** The path of the MCP endpoint on either side. */
  readonly gatePath: string;
  readonly originPath: string;
}

/** Where clients look for metadata: of the server (RFC 9728), and of its authorization server (RFC 8414, OpenID Discovery). */
const DOCUMENT = "/\\.well-known/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)";
/** The path that a document is about stands behind its name; OpenID puts it before. */
const INSERTED = new RegExp(`^(${DOCUMENT})(/.*)?$`);
const APPENDED = new RegExp(`^(/.*)(${DOCUMENT})$`);
const URL_PARTS = /^https?:\/\/[^/?#\\]*(\/[^?#]*)?([?#].*)?$/is;

/**
 * Both names of the site, or null where there is only one: for a service binding and for the same host, the server is asked under
 * the gate's own name.
 * @param gateUrl any URL of the gate, as the client asked for it
 * @param mcpPath the gate's first MCP path, for which the path of the origin's URL stands
 */
export function siteNames(target: OriginTarget, gateUrl: URL, mcpPath: string): SiteNames | null {
  if (target.kind !== "url") return null;
  const originPath = target.path === "/" ? mcpPath : target.path;
  if (gateUrl.origin === target.origin && originPath === mcpPath) return null;
  return { gate: gateUrl.origin, origin: target.origin, gatePath: mcpPath, originPath };
}

/** A URL of the origin's, as clients of the gate know it. Any other text stays as it is. */
export function nameByGate(text: string, { gate, origin, gatePath, originPath }: SiteNames): string {
  return rename(text, origin, gate, originPath, gatePath);
}

/** A URL of the gate's, as the origin knows it. Any other text stays as it is. */
export function nameByOrigin(text: string, { gate, origin, gatePath, originPath }: SiteNames): string {
  return rename(text, gate, origin, gatePath, originPath);
}

/** True for the paths of metadata documents, on either side. */
export function isDocumentPath(path: string): boolean {
  return INSERTED.test(path) || APPENDED.test(path);
}

/** A path of the gate's, as the origin knows it: other than the MCP endpoint's own only in the paths of documents about it. */
export function pathAtOrigin(path: string, { gatePath, originPath }: SiteNames): string {
  return renamePath(path, gatePath, originPath);
}

function rename(text: string, from: string, to: string, fromPath: string, toPath: string): string {
  const parts = URL_PARTS.exec(text);
  if (!parts || !URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.origin !== from || url.username !== "" || url.password !== "") return text;
  const [, path = "", rest = ""] = parts;
  return to + renamePath(path, fromPath, toPath) + rest;
}

function renamePath(path: string, from: string, to: string): string {
  const inserted = INSERTED.exec(path);
  if (inserted) return inserted[1]! + renameEndpoint(inserted[2] ?? "", from, to);
  const appended = APPENDED.exec(path);
  if (appended) return renameEndpoint(appended[1]!, from, to) + appended[2]!;
  return renameEndpoint(path, from, to);
}

function renameEndpoint(path: string, from: string, to: string): string {
  const bare = withoutSlash(path);
  return bare === withoutSlash(from) ? withoutSlash(to) + path.slice(bare.length) : path;
}

function withoutSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}
