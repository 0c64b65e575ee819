import type { ServerResponse } from 'node:http';
import type { Dialect } from './endpoint-names.js';
import { type Refusal, toWireRefusal } from './refusal.js';

export function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

export function sendRefusal(response: ServerResponse, refusal: Refusal, dialect: Dialect = 'openai'): void {
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  // What is left of a refused body is not read.
  if (!response.req.complete) response.setHeader('connection', 'close');
  sendJson(response, refusal.status, toWireRefusal(refusal, dialect));
}
