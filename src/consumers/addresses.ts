/** Callers by address: an IPv4 address, or the /64 of an IPv6 one, which is what one household or machine is given. */

import ipaddr from "ipaddr.js";

export type AddressRange = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

const IPV6_PREFIX_BITS = 64;

/** @returns null for text that is no CIDR range */
export function parseRange(text: string): AddressRange | null {
  if (!isWritten(text.split("/")[0]!)) return null;
  try {
    return ipaddr.parseCIDR(text);
  } catch {
    return null;
  }
}

/** The consumer id of an address, or null for text that is none. IPv4 inside IPv6 counts as the IPv4 address. */
export function addressConsumer(text: string): string | null {
  const address = parseAddress(text);
  if (!address) return null;
  if (address.kind() === "ipv4") return `addr:${address.toString()}`;
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${IPV6_PREFIX_BITS}`);
  return `addr:${network.toString()}/${IPV6_PREFIX_BITS}`;
}

export function isInRange(text: string, range: AddressRange): boolean {
  const address = parseAddress(text);
  return address !== null && address.kind() === range[0].kind() && address.match(range as [ipaddr.IPv4, number] & [ipaddr.IPv6, number]);
}

function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  return isWritten(text) ? ipaddr.process(text) : null;
}

/** In full, that is: "10.1" is an address to some programs, and a typing error here. */
function isWritten(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}
