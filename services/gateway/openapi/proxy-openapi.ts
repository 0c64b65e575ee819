import {
  answer,
  jsonBody,
  type OpenApiOperation,
  type OpenApiPart,
  object,
  pathParameter,
  ref,
  type Schema,
} from './openapi-paths.js';

/** The proxied paths. Bodies are the providers' own; what is said of them is what the gateway adds or reads. */

const HEADERS: readonly (readonly [name: string, description: string])[] = [
  ['xProxy-Experience-ID', 'The experience that the call belongs to; also as xProxy-UseCase-ID'],
  [
    'xProxy-Experience-Name',
    'The type of the experience; without an id a new one is made; also as xProxy-UseCase-Name',
  ],
  [
    'xProxy-Experience-Version',
    'The version of its type that a new experience gets; also as xProxy-UseCase-Version',
  ],
  ['xProxy-UseCase-Step', 'The step of the experience that the call is'],
  [
    'xProxy-Limit-IDs',
    'Limits to charge, with commas between them; a blocking one may refuse the call; also as xProxy-Budget-IDs',
  ],
  ['xProxy-Request-Tags', 'With commas between them'],
  ['xProxy-User-ID', 'Whom the call is made for'],
  ['xProxy-Account-Name', 'Kept with the call, and answered'],
  ['xProxy-Resource-Scope', 'Where the provider works; kept, and no price depends on it'],
  ['xProxy-Request-Properties', 'Properties of the call: a JSON object of strings, plain or in Base64'],
  [
    'xProxy-Experience-Properties',
    'Properties of the experience, likewise; also as xProxy-UseCase-Properties',
  ],
  [
    'xProxy-Provider-BaseUri',
    'Another base than the provider’s own, on a host that the gateway allows; the price stays that of the provider',
  ],
  ['xProxy-PriceAs-Category', 'The category whose price counts'],
  ['xProxy-PriceAs-Resource', 'The model whose price counts; also as xProxy-RouteAs-Resource'],
];

const PATHS: readonly (readonly [path: string, operationId: string, provider: string])[] = [
  ['/proxy/openai/v1/chat/completions', 'openaiChatCompletions', 'OpenAI'],
  ['/proxy/openai/v1/responses', 'openaiResponses', 'OpenAI'],
  ['/proxy/openai/v1/embeddings', 'openaiEmbeddings', 'OpenAI'],
  ['/proxy/openai/v1/images/generations', 'openaiImages', 'OpenAI'],
  ['/proxy/anthropic/v1/messages', 'anthropicMessages', 'Anthropic'],
];

export const proxyOpenApi: OpenApiPart = {
  paths: {
    ...Object.fromEntries(
      PATHS.map(([path, operationId, provider]) => [path, { post: operation(operationId, provider) }]),
    ),
    ...modelPaths('openai', 'OpenAI'),
    ...modelPaths('anthropic', 'Anthropic'),
  },
  schemas: {
    ProviderAnswer: object({ xproxy_result: ref('XproxyResult') }, ['xproxy_result']),
  },
};

function operation(operationId: string, provider: string): OpenApiOperation {
  return {
    operationId: `proxy.${operationId}`,
    summary: `Calls ${provider} between a reservation and its record`,
    tags: ['proxy'],
    parameters: HEADERS.map(([name, description]) => header(name, description)),
    requestBody: jsonBody({
      type: 'object',
      description: `As ${provider} takes it; never in the background`,
    }),
    responses: { 200: providerAnswer(provider) },
    // `Authorization` belongs to the provider here.
    security: [{ apiKey: [] }],
  };
}

function modelPaths(name: string, provider: string): OpenApiPart['paths'] {
  const described = (
    operationId: string,
    summary: string,
    parameters: readonly Schema[],
  ): OpenApiOperation => ({
    operationId: `proxy.${name}${operationId}`,
    summary,
    tags: ['proxy'],
    parameters,
    responses: {
      200: answer(`As ${provider} answered; in no book, because it costs nothing`, { type: 'object' }),
    },
    security: [{ apiKey: [] }],
  });
  const model = pathParameter('model', 'As the provider names it');
  return {
    [`/proxy/${name}/v1/models`]: { get: described('Models', `The models of ${provider}`, []) },
    [`/proxy/${name}/v1/models/{model}`]: { get: described('Model', `A model of ${provider}`, [model]) },
  };
}

function providerAnswer(provider: string): Schema {
  return {
    description: `As ${provider} answered, with xproxy_result; of a stream, on one of its last events`,
    content: {
      'application/json': { schema: ref('ProviderAnswer') },
      'text/event-stream': { schema: { type: 'string' } },
    },
  };
}

function header(name: string, description: string): Schema {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}
