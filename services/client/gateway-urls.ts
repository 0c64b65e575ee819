/** Base URLs for the providers' own clients, so that their calls go through the gateway. */

/** What an OpenAI client takes as its `baseURL`. Throws RangeError for what is no address of a gateway. */
export function openaiUrl(gateway: string): string {
  return `${proxyUrl(gateway)}/openai/v1`;
}

/** What an Anthropic client takes as its `baseURL`; it adds `/v1` itself. Throws RangeError as `openaiUrl` does. */
export function anthropicUrl(gateway: string): string {
  return `${proxyUrl(gateway)}/anthropic`;
}

/** A path before ours is kept, because the gateway may be behind another proxy. */
function proxyUrl(gateway: string): string {
  const url = URL.canParse(gateway) ? new URL(gateway) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new RangeError('the address of the gateway must be an http or https URL, as http://127.0.0.1:8080');
  }
  // `fetch` refuses credentials in a URL, and after a query no path can follow.
  if (url.username !== '' || url.password !== '' || /[?#]/.test(gateway)) {
    throw new RangeError('the address of the gateway must have no credentials, query or fragment');
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}/api/v1/proxy`;
}
