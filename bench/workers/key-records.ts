/**
 * In place of KV, which `workerd` reaches by HTTP: every key that is presented has a record, made up on the fly, so that
 * a hundred thousand keys need no storing. Plans of the policy have no override.
 */

const KEY_NAME = /^key:([0-9a-f]+)$/;

interface Env {
  /** The plan of every key. */
  readonly PLAN: string;
  /** How many consumers the keys belong to. */
  readonly OWNERS: string;
}

export default {
  fetch(request: Request, env: Env): Response {
    const keyId = KEY_NAME.exec(decodeURIComponent(new URL(request.url).pathname.slice(1)))?.[1];
    if (keyId === undefined) return new Response(null, { status: 404 });
    const owner = Number.parseInt(keyId.slice(0, 8), 16) % Number(env.OWNERS);
    const record = { consumer: `owner-${owner}`, plan: env.PLAN, version: 1, createdAt: "2026-11-01T00:00:00.000Z" };
    return new Response(JSON.stringify(record));
  },
};
