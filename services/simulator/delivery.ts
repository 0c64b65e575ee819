import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer, AnswerContent } from './answer.js';
import { pause, writePaced } from './client-connection.js';
import type { FaultPlan } from './fault-rules.js';
import type { OpenCall, ServedCalls } from './served-calls.js';

/** A hung connection is closed after this time, should the client wait as long. */
const HANG_MS_MAX = 600_000;

export interface Line {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborts when the client closes the connection. */
  readonly gone: AbortSignal;
  readonly served: ServedCalls;
}

/** Sends an answer, or as much of it as the planned faults let through. Throws ClientLeft when the client closes first. */
export async function deliver(answer: Answer, call: OpenCall, plan: FaultPlan, line: Line): Promise<void> {
  const { ending } = plan;
  if (ending?.kind === 'hang') {
    call.completionTokens = answer.completionTokens;
    line.served.close(call, 'hung');
    await pause(HANG_MS_MAX, line.gone);
    line.request.socket.destroy();
  } else if (ending?.kind === 'drop' && ending.at === 'before-answer') {
    call.completionTokens = answer.completionTokens;
    line.served.close(call, 'dropped');
    line.request.socket.destroy();
  } else if (answer.content.kind === 'json') {
    deliverJson(answer.content.body, call, plan, line);
  } else {
    await deliverStream(answer.content, call, plan, line);
  }
}

const STATUS_OK = 200;

function deliverJson(body: object, call: OpenCall, { ending }: FaultPlan, line: Line): void {
  const { request, response, served } = line;
  const whole = Buffer.from(JSON.stringify(body));
  const half = whole.subarray(0, Math.floor(whole.length / 2));
  const sent = ending?.kind === 'broken-json' ? half : whole;
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', sent.length);
  if (ending?.kind === 'drop') {
    served.close(call, 'dropped', STATUS_OK);
    response.flushHeaders();
    if (ending.at === 'mid-body') response.write(half);
    request.socket.destroySoon();
  } else {
    served.close(call, 'answered', STATUS_OK);
    response.end(sent);
  }
}

const DONE = 'data: [DONE]\n\n';

async function deliverStream(
  { events, doneMark }: Extract<AnswerContent, { kind: 'stream' }>,
  call: OpenCall,
  { ending, tokenDelayMs }: FaultPlan,
  line: Line,
): Promise<void> {
  const { request, response, served, gone } = line;
  response.setHeader('content-type', 'text/event-stream; charset=utf-8');
  response.setHeader('cache-control', 'no-cache');
  if (ending?.kind === 'drop' && ending.at === 'after-headers') {
    served.close(call, 'dropped', STATUS_OK);
    response.flushHeaders();
    request.socket.destroySoon();
    return;
  }
  const halfWay = Math.floor(events.length / 2);
  const cut = ending?.kind === 'drop' || ending?.kind === 'truncate-stream';
  response.flushHeaders();
  for (const [position, { name, data, tokens }] of events.entries()) {
    if (cut && position === halfWay) break;
    if (tokens > 0) await pause(tokenDelayMs, gone);
    const json = JSON.stringify(data);
    const broken = ending?.kind === 'broken-json' && position === halfWay;
    const sent = broken ? json.slice(0, json.length / 2) : json;
    await writePaced(response, `${name === undefined ? '' : `event: ${name}\n`}data: ${sent}\n\n`, gone);
    call.completionTokens += tokens;
  }
  if (ending?.kind === 'drop') {
    served.close(call, 'dropped', STATUS_OK);
    response.write('data: {"id":"chatcmpl-');
    request.socket.destroySoon();
  } else if (ending?.kind === 'truncate-stream') {
    served.close(call, 'truncated', STATUS_OK);
    response.end();
  } else {
    served.close(call, 'answered', STATUS_OK);
    response.end(doneMark ? DONE : '');
  }
}
