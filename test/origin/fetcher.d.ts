/** A service binding, as far as src/origin/forward.ts names it: these tests run in Node, where Workers' types are not. */
interface Fetcher {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}
