import { randomUUID } from 'node:crypto';
import type { ExperiencesClient, Scope } from '../../services/client/index.js';
import { MARK, PROVIDER, type ThingKind, type thingsOf, UNKNOWN } from './foreign-things.js';

/** How each route of the gateway is called by an id, and what the key must have for it. */

/** Of a `resource` the id is its category, its name and one version, with spaces between them. */
export type RouteThing = ThingKind | 'resource';

export interface RouteCall {
  /** Of the path, by their names. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteCase {
  readonly kind: RouteThing;
  readonly call: (id: string) => RouteCall;
}

export interface RouteWalk {
  /** All of them; ADMIN implies the others. Empty: no key is asked for. */
  readonly needs: readonly Scope[];
  /** Each way in which it takes an id; the first one succeeds by an id of ones own. */
  readonly cases: readonly RouteCase[];
  /** A call that names nothing, and what it answers is of the caller's application alone. */
  readonly withoutIds?: RouteCall;
}

/** A category, a resource in it and a version that the stranger has, to look for a foreign version there. */
export const OWN = { category: 'own-category', resource: 'own-resource' } as const;

function by(kind: RouteThing, call: (id: string) => RouteCall): RouteCase {
  return { kind, call };
}

const name = (id: string) => ({ params: { name: id } });
const experience = (id: string) => ({ params: { id } });
const limit = (id: string) => ({ params: { limit_id: id } });
const withBody = (params: (id: string) => RouteCall, body: object) => (id: string) => ({
  ...params(id),
  body,
});
const cursor = (token: string) => ({ query: `limit=1&cursor=${encodeURIComponent(token)}` });
const partsOf = (id: string): readonly [string, string, string] => {
  const [first = '', second = '', third = ''] = id.split(' ');
  return [first, second, third];
};
const version = (id: string) => {
  const [category, resource, resource_id] = partsOf(id);
  return { params: { category, resource, resource_id } };
};
const foreignVersion = (id: string) => ({ params: { ...OWN, resource_id: partsOf(id)[2] } });
const event = (id: string) => ({ params: { request_id: id, category: 'system.openai' } });
const response = (id: string) => ({ params: { provider_response_id: id, category: 'system.openai' } });

const USED = { category: 'system.openai', resource: 'gpt-4o-mini', units: { text: { input: 1, output: 1 } } };
const LIMIT = { max: 7, limit_type: 'block' };
const PRICE = { units: { text: { input_price: 1, output_price: 1 } } };
const PROPERTIES = { properties: { a: 'b', [MARK]: null } };
const TAGS = { limit_tags: ['own'] };
const HOUR_MS = 3_600_000;
const hour = (more: number) => new Date((Math.floor(Date.now() / HOUR_MS) + more) * HOUR_MS).toISOString();
const range = () => `from=${hour(-2)}&to=${hour(2)}`;

function typeRoutes(base: string, methods: readonly string[], filter: string): Record<string, RouteWalk> {
  const admin = (call: RouteCase['call']): RouteWalk => ({ needs: ['ADMIN'], cases: [by('type', call)] });
  const changed = withBody(name, { description: 'Other' });
  return {
    [`POST ${base}`]: {
      needs: ['ADMIN'],
      cases: [
        by('type', () => ({ body: { name: `own_${randomUUID()}`, description: 'Own' } })),
        by('type', (id) => ({ body: { name: id, description: 'Other' } })),
      ],
    },
    [`GET ${base}`]: {
      needs: ['READ'],
      cases: [by('type', (id) => ({ query: `${filter}=${id}` })), by('typesToken', cursor)],
      withoutIds: {},
    },
    [`GET ${base}/:name`]: { needs: ['READ'], cases: [by('type', name)] },
    ...Object.fromEntries(methods.map((method) => [`${method} ${base}/:name`, admin(changed)])),
    [`DELETE ${base}/:name`]: admin(name),
    [`POST ${base}/:name/limit_config`]: admin(withBody(name, LIMIT)),
    [`DELETE ${base}/:name/limit_config`]: admin(name),
    [`POST ${base}/:name/increment_version`]: admin(name),
  };
}

function instanceRoutes(base: string, methods: readonly string[]): Record<string, RouteWalk> {
  const labelled: RouteWalk = {
    needs: ['RECORD'],
    cases: [by('experience', withBody(experience, PROPERTIES))],
  };
  return {
    [`POST ${base}/:name`]: { needs: ['RECORD'], cases: [by('type', name)] },
    [`GET ${base}/:id`]: { needs: ['READ'], cases: [by('experience', experience)] },
    [`DELETE ${base}/:id`]: { needs: ['ADMIN'], cases: [by('experience', experience)] },
    ...Object.fromEntries(methods.map((method) => [`${method} ${base}/:id/properties`, labelled])),
  };
}

/** By headers, as a single event and a proxied call name what they belong to. */
function attributed(body: object): readonly RouteCase[] {
  const headed = (header: string) => (id: string) => ({ body, headers: { [header]: id } });
  return [
    by('type', headed('xProxy-Experience-Name')),
    by('type', headed('xProxy-UseCase-Name')),
    by('experience', headed('xProxy-Experience-ID')),
    by('experience', headed('xProxy-UseCase-ID')),
    by('experience', (id) => ({
      body,
      headers: { 'xProxy-Experience-ID': id, 'xProxy-UseCase-Properties': '{"a":"b"}' },
    })),
    by('limit', headed('xProxy-Limit-IDs')),
    by('limit', headed('xProxy-Budget-IDs')),
    by('resource', (id) => ({
      body,
      headers: { 'xProxy-PriceAs-Category': partsOf(id)[0], 'xProxy-PriceAs-Resource': partsOf(id)[1] },
    })),
  ];
}

function item(kind: RouteThing, more: (id: string) => object): RouteCase {
  return by(kind, (id) => ({ body: [{ ...USED, ...more(id) }] }));
}

const labelledEvent: RouteWalk = { needs: ['RECORD'], cases: [by('event', withBody(event, PROPERTIES))] };
const labelledResponse: RouteWalk = {
  needs: ['READ', 'RECORD'],
  cases: [by('response', withBody(response, PROPERTIES))],
};
const readEvent: RouteWalk = { needs: ['READ'], cases: [by('event', event)] };
const taggedLimit: RouteWalk = { needs: ['ADMIN'], cases: [by('limit', withBody(limit, TAGS))] };
const proxied = (body: object): RouteWalk => ({ needs: ['RECORD'], cases: attributed(body) });
/** They take no id of ours: which models there are is the provider's matter. */
const models: RouteWalk = {
  needs: ['RECORD'],
  cases: [by('type', () => ({ params: { model: 'gpt-4o-mini' } }))],
};
const QUESTION = [{ role: 'user', content: 'How are you?' }];

export const ROUTE_WALKS: Readonly<Record<string, RouteWalk>> = {
  'GET /api/v1/openapi.json': { needs: [], cases: [] },
  'GET /api/v1/health': { needs: [], cases: [] },
  ...typeRoutes('/api/v1/experiences/types', ['PATCH', 'PUT'], 'name'),
  ...instanceRoutes('/api/v1/experiences/instances', ['POST']),
  ...typeRoutes('/api/v1/use_cases/definitions', ['PUT'], 'use_case_name'),
  ...instanceRoutes('/api/v1/use_cases/instances', ['POST', 'PUT']),
  'POST /api/v1/ingest': {
    needs: ['RECORD'],
    cases: [
      ...attributed(USED),
      by('event', (id) => ({ body: USED, headers: { 'Idempotency-Key': id } })),
      by('event', (id) => ({ body: USED, query: `id=${id}` })),
      by('reservation', (id) => ({ body: USED, query: `id=${id}` })),
      by('resource', (id) => ({ body: { ...USED, category: partsOf(id)[0], resource: partsOf(id)[1] } })),
    ],
  },
  'POST /api/v1/ingest/bulk': {
    needs: ['RECORD'],
    cases: [
      item('type', (id) => ({ experience_name: id })),
      item('type', (id) => ({ use_case_name: id })),
      item('experience', (id) => ({ experience_id: id, experience_properties: { a: 'b' } })),
      item('experience', (id) => ({ use_case_id: id })),
      item('limit', (id) => ({ limit_ids: [id] })),
      item('resource', (id) => ({ category: partsOf(id)[0], resource: partsOf(id)[1] })),
    ],
  },
  'POST /api/v1/requests/:request_id/properties': labelledEvent,
  'PUT /api/v1/requests/:request_id/properties': labelledEvent,
  'POST /api/v1/requests/provider/:category/:provider_response_id/properties': labelledResponse,
  'PUT /api/v1/requests/provider/:category/:provider_response_id/properties': labelledResponse,
  'GET /api/v1/requests/result/:category/:request_id': readEvent,
  'GET /api/v1/requests/:request_id/result': readEvent,
  'GET /api/v1/requests/provider/:category/:provider_response_id/result': {
    needs: ['READ'],
    cases: [by('response', response)],
  },
  'GET /api/v1/categories': {
    needs: ['READ'],
    cases: [by('providersToken', cursor)],
    withoutIds: { query: 'limit=1000' },
  },
  'GET /api/v1/categories/:category/resources': { needs: ['READ'], cases: [by('resource', version)] },
  'DELETE /api/v1/categories/:category': { needs: ['ADMIN'], cases: [by('resource', version)] },
  'POST /api/v1/categories/:category/resources/:resource': {
    needs: ['ADMIN'],
    cases: [by('resource', withBody(version, PRICE))],
  },
  'GET /api/v1/categories/:category/resources/:resource': {
    needs: ['READ'],
    cases: [by('resource', version)],
  },
  'DELETE /api/v1/categories/:category/resources/:resource': {
    needs: ['ADMIN'],
    cases: [by('resource', version)],
  },
  'POST /api/v1/categories/:category/resources/:resource/:resource_id': {
    needs: ['ADMIN'],
    cases: [
      by(
        'resource',
        withBody((id) => ({ params: { ...version(id).params, resource_id: 'more' } }), PRICE),
      ),
      by('resource', withBody(version, PRICE)),
    ],
  },
  'GET /api/v1/categories/:category/resources/:resource/:resource_id': {
    needs: ['READ'],
    cases: [by('resource', version), by('resource', foreignVersion)],
  },
  'DELETE /api/v1/categories/:category/resources/:resource/:resource_id': {
    needs: ['ADMIN'],
    cases: [by('resource', version), by('resource', foreignVersion)],
  },
  'POST /api/v1/limits': {
    needs: ['ADMIN'],
    cases: [
      by('limit', () => ({ body: { ...LIMIT, limit_name: `own ${randomUUID()}` } })),
      by('limitName', (id) => ({ body: { ...LIMIT, limit_name: id } })),
    ],
  },
  'GET /api/v1/limits': {
    needs: ['READ'],
    cases: [
      by('limitName', (id) => ({ query: `limit_name=${id}` })),
      by('limitTag', (id) => ({ query: `tags=${id}` })),
      by('limitsToken', cursor),
    ],
    withoutIds: {},
  },
  'GET /api/v1/limits/:limit_id': { needs: ['READ'], cases: [by('limit', limit)] },
  'PUT /api/v1/limits/:limit_id': { needs: ['ADMIN'], cases: [by('limit', withBody(limit, { max: 50 }))] },
  'DELETE /api/v1/limits/:limit_id': { needs: ['ADMIN'], cases: [by('limit', limit)] },
  'POST /api/v1/limits/:limit_id/reset': { needs: ['ADMIN'], cases: [by('limit', limit)] },
  'GET /api/v1/limits/:limit_id/tags': { needs: ['READ'], cases: [by('limit', limit)] },
  'POST /api/v1/limits/:limit_id/tags': taggedLimit,
  'PUT /api/v1/limits/:limit_id/tags': taggedLimit,
  'PATCH /api/v1/limits/:limit_id/tags/remove': taggedLimit,
  'DELETE /api/v1/limits/:limit_id/tags': { needs: ['ADMIN'], cases: [by('limit', limit)] },
  'GET /api/v1/costs/experiences/:id': { needs: ['READ'], cases: [by('experience', experience)] },
  'GET /api/v1/costs/experiences/:id/events': {
    needs: ['READ'],
    cases: [
      by('experience', experience),
      by('usageToken', (text) => ({ ...experience(partsOf(text)[0]), ...cursor(partsOf(text)[1]) })),
    ],
  },
  'GET /api/v1/costs/types/:name/distribution': { needs: ['READ'], cases: [by('type', name)] },
  'GET /api/v1/costs/series': {
    needs: ['READ'],
    cases: [by('type', (id) => ({ query: `${range()}&experience_type=${id}` }))],
    withoutIds: { query: `${range()}&group_by=experience_type,provider,model` },
  },
  'GET /api/v1/costs/types/:name/versions/compare': {
    needs: ['READ'],
    // A type with a token of its versions has two of them.
    cases: [by('versionsToken', (text) => ({ ...name(partsOf(text)[0]), query: 'from=1&to=2' }))],
  },
  'GET /api/v1/proxy/openai/v1/models': models,
  'GET /api/v1/proxy/openai/v1/models/:model': models,
  'GET /api/v1/proxy/anthropic/v1/models': models,
  'GET /api/v1/proxy/anthropic/v1/models/:model': models,
  'POST /api/v1/proxy/openai/v1/chat/completions': proxied({ model: 'gpt-4o-mini', messages: QUESTION }),
  'POST /api/v1/proxy/openai/v1/responses': proxied({ model: 'gpt-4o-mini', input: 'How are you?' }),
  'POST /api/v1/proxy/openai/v1/embeddings': proxied({ model: 'text-embedding-3-small', input: 'Well' }),
  'POST /api/v1/proxy/openai/v1/images/generations': proxied({ model: 'gpt-image-1', prompt: 'A tree' }),
  'POST /api/v1/proxy/anthropic/v1/messages': proxied({
    model: 'claude-3-5-haiku-20241022',
    max_tokens: 9,
    messages: QUESTION,
  }),
};

/** Makes a thing of each kind for an application, and answers its id. */
export function routeThingsOf(
  owner: ExperiencesClient,
  things: ReturnType<typeof thingsOf>,
): (kind: RouteThing) => Promise<string> {
  return async (kind) => {
    if (kind !== 'resource') return things[kind]();
    const [category, resource] = [`${PROVIDER}-${randomUUID()}`, `${MARK}_${randomUUID()}`];
    const rates = { text: { input: { base: '0.5' }, output: { base: '0.5' } } };
    const { priceId } = await owner.prices.create({ provider: category, model: resource, rates });
    return `${category} ${resource} ${priceId}`;
  };
}

export function unknownThing(kind: RouteThing): string {
  if (kind !== 'resource') return UNKNOWN[kind]();
  return `absent-${randomUUID()} absent_${randomUUID()} ${randomUUID()}`;
}
