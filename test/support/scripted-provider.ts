import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';

/** A request as the provider got it. */
export interface ProviderCall {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values by turns, as they stood on the wire. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export type ProviderScript = (call: ProviderCall, response: ServerResponse) => void | Promise<void>;

/** A provider that answers exactly as a test says, on a free port, and remembers what it was asked. */
export interface ScriptedProvider {
  readonly url: string;
  readonly calls: readonly ProviderCall[];
  /** How each call is answered from now on; what was asked before is forgotten. */
  script(script: ProviderScript): void;
  stop(): Promise<void>;
}

export async function startScriptedProvider(host = '127.0.0.1'): Promise<ScriptedProvider> {
  let current: ProviderScript = (_call, response) => void response.writeHead(500).end();
  let calls: ProviderCall[] = [];
  const server = createServer((request, response) => {
    response.on('error', () => undefined); // The caller may leave at any time.
    void answer(request, response);
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // It left before its request was whole.
    }
    const call = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: Buffer.concat(chunks).toString(),
    };
    calls.push(call);
    await current(call, response);
  }
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `http://${host}:${address.port}`,
    get calls() {
      return calls;
    },
    script(script) {
      current = script;
      calls = [];
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers with JSON; a string is sent as it is. */
export function answerJson(
  response: ServerResponse,
  body: string | object,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Begins a stream of server-sent events. */
export function beginStream(response: ServerResponse, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...headers });
}

/** The events of a chat completion that says `text` in one delta each. */
export function chatChunk(fields: object): string {
  return `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o-mini', ...fields })}\n\n`;
}
