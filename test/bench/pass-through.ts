import { fastify } from 'fastify';
import { Pool } from 'undici';

/** What fastify and undici alone take: a request's body goes on as it came, and the answer back, read by nobody. */

const provider = new Pool(String(process.env.BENCH_PROVIDER_URL), { connections: 512, pipelining: 1 });
const app = fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/v1/chat/completions', async (request, reply) => {
  const { authorization = '' } = request.headers;
  const answer = await provider.request({
    path: '/v1/chat/completions',
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: Buffer.isBuffer(request.body) ? request.body : null,
  });
  const { 'transfer-encoding': _chunked, connection: _connection, ...headers } = answer.headers;
  reply.code(answer.statusCode).headers(headers);
  return reply.send(answer.body);
});

const address = await app.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`{"address":"${new URL(address).host}","msg":"pass-through ready"}\n`);
