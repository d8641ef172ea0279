/** An answer whose end the gate waits for. */

/**
 * The same answer; `whenOver` is called once its body has ended, or nobody reads it any more.
 * @param signal tells that the client has left: until something is written, nothing else does
 */
export function watchToEnd(
  response: Response,
  ctx: ExecutionContext,
  signal: AbortSignal,
  whenOver: (isWhole: boolean) => Promise<unknown>,
): Response {
  if (!response.body) {
    ctx.waitUntil(whenOver(true));
    return response;
  }
  const { readable, writable } = passingThrough(response.headers);
  // The one who reads learns of a broken stream by itself.
  ctx.waitUntil(
    response.body.pipeTo(writable, { signal }).then(
      () => whenOver(true),
      () => whenOver(false),
    ),
  );
  return new Response(readable, response);
}

/** An answer that tells its length still does behind it. One that is compressed is compressed anew, and has another. */
function passingThrough(headers: Headers): IdentityTransformStream {
  const length = Number(headers.get("content-length") ?? Number.NaN);
  const isKnown = Number.isSafeInteger(length) && length >= 0 && !headers.has("content-encoding");
  return isKnown ? new FixedLengthStream(length) : new IdentityTransformStream();
}
