/** Base64 (RFC 4648, section 4) with padding, as payers of L402 send it back; read in all its spellings. */

const SPELLING = /^[\w+/-]*={0,2}$/;

export function encodeBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/**
 * Takes the alphabet of section 5 as well, and text whose padding is missing.
 * @param maxBytes longer ones are not decoded
 * @returns null when it is not base64, or too long
 */
export function decodeBase64(text: string, maxBytes: number): Uint8Array<ArrayBuffer> | null {
  if (text.length > Math.ceil(maxBytes / 3) * 4 || !SPELLING.test(text)) return null;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return binary.length > maxBytes ? null : Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
