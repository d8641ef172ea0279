/** What any Worker in front of an MCP server pays: read, parse, send on. */

export default {
  async fetch(request: Request, env: { readonly ORIGIN: string }): Promise<Response> {
    const text = await request.text();
    JSON.parse(text);
    return fetch(env.ORIGIN, { method: "POST", headers: request.headers, body: text });
  },
};
