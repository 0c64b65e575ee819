import { createServer, type ServerResponse } from 'node:http';

/**
 * A provider that answers at once, in a process of its own: chat completions, whole or as a stream. It reports the usage
 * that it is told in the request's `seed` (tokens in) and `max_tokens` (tokens out), so that whoever asked knows the cost.
 */

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const asked = JSON.parse(Buffer.concat(parts).toString());
    const usage = {
      prompt_tokens: asked.seed,
      completion_tokens: asked.max_tokens,
      total_tokens: asked.seed + asked.max_tokens,
    };
    if (asked.stream === true) streamAnswer(response, asked, usage);
    else wholeAnswer(response, asked.model, usage);
  });
});

function wholeAnswer(response: ServerResponse, model: string, usage: object): void {
  const message = { role: 'assistant', content: ANSWER, refusal: null };
  const body = JSON.stringify({
    id: ID,
    object: 'chat.completion',
    created: CREATED,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    usage,
    service_tier: 'default',
  });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Each chunk in a turn of its own, as separate parts reach a proxy from a model that writes. */
function streamAnswer(
  response: ServerResponse,
  asked: { readonly model: string; readonly stream_options?: { readonly include_usage?: boolean } },
  usage: object,
): void {
  const showsUsage = asked.stream_options?.include_usage === true;
  const head = { id: ID, object: 'chat.completion.chunk', created: CREATED, model: asked.model };
  const chunk = (choices: readonly object[], used: object | null): string =>
    `data: ${JSON.stringify({ ...head, choices, ...(showsUsage ? { usage: used } : {}) })}\n\n`;
  const delta = (index: number): object => {
    if (index === 0) return { role: 'assistant', content: '' };
    return index === STREAM_CHUNKS - 1 ? {} : { content: WORDS[index % WORDS.length] };
  };
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  const write = (index: number): void => {
    const finish = index === STREAM_CHUNKS - 1 ? 'stop' : null;
    response.write(chunk([{ index: 0, delta: delta(index), finish_reason: finish }], null));
    if (index + 1 < STREAM_CHUNKS) setImmediate(write, index + 1);
    else response.end(`${showsUsage ? chunk([], usage) : ''}data: [DONE]\n\n`);
  };
  write(0);
}

const ID = 'chatcmpl-0198c9a27c4e7d319a553f6f1f4f7b10';
const CREATED = 1_764_500_000;
/** Those with choices; what tells the usage comes behind them. */
const STREAM_CHUNKS = 20;
const WORDS = [' the', ' answer', ' of', ' a', ' model', ' in', ' a', ' few', ' words', ','];
const ANSWER = WORDS.join('').repeat(10);

server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a server on a port has an address');
  process.stdout.write(`{"address":"127.0.0.1:${bound.port}","msg":"quick provider ready"}\n`);
});
