/**
 * The parameters of one challenge in a `WWW-Authenticate` header (RFC 9110, 11.6.1). The header may carry several challenges of
 * several schemes in one line, which `Headers` joins with commas.
 */

/**
 * Names in lower case. Null when the scheme is not there.
 * @param scheme must match from the scheme's name to the first parameter, such as `/(?:^|,)\s*Basic\s+/i`
 */
export function readAuthParameters(header: string, scheme: RegExp): Readonly<Record<string, string>> | null {
  const found = scheme.exec(header);
  if (!found) return null;
  const parameters = new Map<string, string>();
  let rest = header.slice(found.index + found[0].length);
  for (;;) {
    const one = /^([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,\s*|$)/.exec(rest);
    // A word with no `=` begins the next challenge.
    if (!one) break;
    parameters.set(one[1]!.toLowerCase(), one[2]?.replaceAll(/\\(.)/g, "$1") ?? one[3]!);
    rest = rest.slice(one[0].length);
  }
  return Object.fromEntries(parameters);
}
