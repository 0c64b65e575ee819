import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from './answer.js';
import { checkKey } from './api-key.js';
import { ClientLeft, clientGone, pause } from './client-connection.js';
import { deliver } from './delivery.js';
import type { Dialect, EndpointName } from './endpoint-names.js';
import type { Ending, FaultPlan, FaultRules } from './fault-rules.js';
import { type Fault, parseFaults } from './faults.js';
import { headerOf } from './header-of.js';
import type { Model } from './models.js';
import { keyWrong, Refusal, rateLimited, serverError } from './refusal.js';
import { parseJson, readBody } from './request-body.js';
import { sendRefusal } from './send-json.js';
import type { OpenCall, ServedCalls } from './served-calls.js';

/** One of the provider's calls that models answer. */
export interface Endpoint {
  readonly name: EndpointName;
  readonly dialect: Dialect;
  /** Throws a Refusal when the body is no valid request. */
  parse(body: unknown): ModelRequest;
}

export interface ModelRequest {
  readonly requestedModel: string;
  readonly model: Model;
  readonly stream: boolean;
  /** Throws a Refusal when the model cannot do it; then nothing is billed. */
  work(options: { readonly usageOmitted: boolean }): Promise<Answer>;
}

export interface ModelCallWorld {
  /** Absent: any key is taken, and none is needed. */
  readonly apiKey: string | undefined;
  readonly faults: FaultRules;
  readonly served: ServedCalls;
  readonly now: () => number;
  readonly newRequestId: () => string;
}

/** Takes one call from its headers to its end, and writes down in the served calls what became of it. */
export async function serveModelCall(
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  world: ModelCallWorld,
): Promise<void> {
  const { served } = world;
  const gone = clientGone(response);
  const call = served.open({
    requestId: world.newRequestId(),
    endpoint: endpoint.name,
    startedAt: world.now(),
    tag: headerOf(request, 'x-simulator-tag')?.slice(0, TAG_LENGTH_MAX),
  });
  const { dialect } = endpoint;
  response.setHeader(dialect === 'anthropic' ? 'request-id' : 'x-request-id', call.requestId);
  try {
    // Read before anything is refused: see request-body.ts about connections closed with bytes unread.
    const body = await readBody(request);
    checkKey(request, world.apiKey, dialect);
    const ownFaults = readOwnFaults(request);
    const modelRequest = endpoint.parse(parseJson(body));
    const plan = planFaults(call, modelRequest, ownFaults, world.faults);
    const answer = refuses(plan.ending) ? undefined : await modelRequest.work(plan);
    if (answer !== undefined) fillIn(call, answer);
    await pause(plan.latencyMs, gone);
    if (dialect === 'openai') {
      response.setHeader('openai-processing-ms', Math.max(0, Math.round(world.now() - call.startedAt)));
    }
    if (answer === undefined) throwRefusal(plan.ending);
    else await deliver(answer, call, plan, { request, response, gone, served });
  } catch (error) {
    if (error instanceof Refusal) {
      served.close(call, 'refused', error.status);
      sendRefusal(response, error, dialect);
    } else if (error instanceof ConnectionRefused) {
      served.close(call, 'dropped');
      request.socket.destroy();
    } else if (error instanceof ClientLeft) {
      served.close(call, 'dropped', response.headersSent ? response.statusCode : undefined);
      request.socket.destroy();
    } else {
      served.close(call, 'dropped');
      throw error;
    }
  }
}

const TAG_LENGTH_MAX = 200;

function readOwnFaults(request: IncomingMessage): readonly Fault[] {
  const line = headerOf(request, 'x-simulator-fault');
  if (line === undefined) return [];
  const faults = parseFaults(line);
  if (faults !== undefined) return faults;
  throw new Refusal(400, 'The header x-simulator-fault names no known fault.', {
    param: 'x-simulator-fault',
    code: 'invalid_value',
  });
}

function planFaults(
  call: OpenCall,
  { requestedModel, model, stream }: ModelRequest,
  ownFaults: readonly Fault[],
  rules: FaultRules,
): FaultPlan {
  const models = [requestedModel, model.name];
  const plan = rules.plan({ endpoint: call.endpoint, models, tag: call.tag, stream }, ownFaults);
  call.requestedModel = requestedModel;
  call.model = model.name;
  call.stream = stream;
  call.faults = plan.names;
  return plan;
}

/** Whether the call ends before the model does anything, so that nothing is billed. */
function refuses(ending: Ending | undefined): boolean {
  switch (ending?.kind) {
    case 'rate-limit':
    case 'server-error':
    case 'unauthorized':
      return true;
    case 'drop':
      return ending.at === 'before-work';
    default:
      return false;
  }
}

/** The connection is to be closed without a word. */
class ConnectionRefused extends Error {
  override readonly name = 'ConnectionRefused';
}

function throwRefusal(ending: Ending | undefined): never {
  switch (ending?.kind) {
    case 'rate-limit':
      throw rateLimited(ending.retryAfterMs);
    case 'server-error':
      throw serverError(ending.status);
    case 'unauthorized':
      throw keyWrong();
    default:
      throw new ConnectionRefused();
  }
}

function fillIn(call: OpenCall, answer: Answer): void {
  call.billed = true;
  call.responseId = answer.responseId;
  call.promptTokens = answer.promptTokens;
  call.cachedTokens = answer.cachedTokens;
  call.cacheWriteTokens = answer.cacheWriteTokens ?? 0;
  // Those of a stream are produced as they are sent: who leaves in the middle is not billed for the rest.
  call.completionTokens = answer.content.kind === 'stream' ? 0 : answer.completionTokens;
}
