/** The least a Worker can do with a message: read it, parse it, answer. */

export default {
  async fetch(request: Request): Promise<Response> {
    JSON.parse(await request.text());
    return new Response('{"jsonrpc":"2.0","id":1,"result":{}}', { headers: { "Content-Type": "application/json" } });
  },
};
