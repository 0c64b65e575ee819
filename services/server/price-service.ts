import type { ListPricesRequest__Output } from '../contract/generated/experiences/v1/ListPricesRequest.js';
import type { PriceServiceHandlers } from '../contract/generated/experiences/v1/PriceService.js';
import { Fault } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import { MODEL_LENGTH_MAX, PROVIDER_LENGTH_MAX, shortTextRule, shown } from '../domain/text-rules.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';
import type { PricePosition } from '../ledger/prices.js';
import type { UnpricedPosition } from '../ledger/repricings.js';
import type { Price } from '../pricing/price.js';
import { orderOf, type PricedProvider, pricedProviders, pricesInForce } from '../pricing/priced-models.js';
import { providerId } from '../pricing/provider-id.js';
import { fromWireRates, fromWireTime } from './from-wire.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import { fromTimeAndId, type PageTokens } from './page-token.js';
import { RequestCheck } from './request-check.js';
import { toWireCost, toWirePrice, toWirePricedProvider, toWireTime } from './to-wire.js';

export function priceService(ledger: Ledger, tokens: PageTokens, handlers: Handlers): PriceServiceHandlers {
  return {
    CreatePrice: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const now = new Date();
      const id = request.priceId === '' ? newUuid() : parseUuid(request.priceId);
      if (id === undefined) check.bad('price_id', 'must be a UUID');
      const provider = check.required('provider', request.provider.trim(), PROVIDER_RULE);
      const model = check.required('model', request.model.trim(), MODEL_RULE);
      const rates = fromWireRates('rates', request.rates, check);
      const effectiveTime = fromWireTime('effective_time', request.effectiveTime, check) ?? now;
      check.done();
      const price: Price = {
        id: id ?? newUuid(),
        source: 'application',
        provider: providerId(provider),
        model,
        matchers: [],
        rank: 0,
        effectiveTime,
        rates,
        retired: false,
        createTime: now,
        sourceNote: '',
      };
      const stated = { effectiveTime: request.effectiveTime !== null };
      return { price: toWirePrice(await ledger.prices.append(application, price, stated, deadline)) };
    }),

    RetirePrice: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const retireTime = fromWireTime('retire_time', request.retireTime, check);
      const id = checkedPriceId(request.priceId, check);
      const price = await ledger.prices.retire(application, id, retireTime, new Date(), deadline);
      return { price: toWirePrice(price) };
    }),

    GetPrice: handlers.unary(async (request, { application, deadline }) => {
      const id = checkedPriceId(request.priceId, new RequestCheck());
      return { price: toWirePrice(await ledger.prices.get(application, id, deadline)) };
    }),

    ListPrices: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const provider = check.optional('provider', request.provider, PROVIDER_RULE);
      const model = check.optional('model', request.model, MODEL_RULE);
      if (model !== undefined && provider === undefined) check.bad('model', 'needs provider');
      const source = fromWireSource(request.source, check);
      const limit = check.pageSize(request.pageSize);
      const scope = ['prices', application, provider, model, source];
      const after = fromTokenPosition(tokens.read(request.pageToken, scope, check));
      check.done();
      const filter = { provider: provider === undefined ? undefined : providerId(provider), model, source };
      const prices = await ledger.prices.list(application, filter, { after, limit: limit + 1 }, deadline);
      const { page, last } = pageOf(prices, limit, toWirePrice);
      return {
        prices: page,
        nextPageToken: last === undefined ? '' : tokens.write(toTokenPosition(application, last), scope),
      };
    }),

    ListPricedProviders: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const limit = check.pageSize(request.pageSize);
      const scope = ['priced providers', application];
      const after = fromProviderPosition(tokens.read(request.pageToken, scope, check));
      check.done();
      const { prices } = await ledger.state(application, deadline);
      const providers = SOURCES.flatMap((source) => pricedProviders(prices, source, new Date()));
      const rest = after === undefined ? providers : providers.filter((one) => isBehindProvider(one, after));
      const { page, last } = pageOf(rest, limit, toWirePricedProvider);
      const nextPageToken = last === undefined ? '' : tokens.write([last.source, last.provider], scope);
      return { providers: page, nextPageToken };
    }),

    ListPricesInForce: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const provider = check.required('provider', request.provider, PROVIDER_RULE);
      const source = fromWireSource(request.source, check);
      if (source === undefined) check.bad('source', 'is required');
      const time = fromWireTime('time', request.time, check);
      const limit = check.pageSize(request.pageSize);
      const scope = ['prices in force', application, providerId(provider), source, time];
      const after = tokens.read(request.pageToken, scope, check);
      check.done();
      if (source === undefined) throw new Error('a request without a source does not pass its check');
      const { prices } = await ledger.state(application, deadline);
      const inForce = pricesInForce(prices, source, provider, time ?? new Date());
      const rest = typeof after === 'string' ? inForce.filter((price) => orderOf(price) > after) : inForce;
      const { page, last } = pageOf(rest, limit, toWirePrice);
      return { prices: page, nextPageToken: last === undefined ? '' : tokens.write(orderOf(last), scope) };
    }),

    RetireModel: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const provider = check.required('provider', request.provider.trim(), PROVIDER_RULE);
      const model = check.required('model', request.model.trim(), MODEL_RULE);
      check.done();
      const ofModel = { provider: providerId(provider), model };
      const retired = await ledger.prices.retireModel(application, ofModel, new Date(), deadline);
      return {
        retiredPrices: retired.map(({ price, retireTime }) => ({
          price: toWirePrice(price),
          retireTime: toWireTime(retireTime),
        })),
      };
    }),

    RepriceUnpriced: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const id = request.repricingId === '' ? newUuid() : parseUuid(request.repricingId);
      if (id === undefined) check.bad('repricing_id', 'must be a UUID');
      if (request.pageToken !== '' && request.repricingId === '')
        check.bad('repricing_id', 'is required to go on');
      const provider = check.optional('provider', request.provider, PROVIDER_RULE);
      const model = check.optional('model', request.model, MODEL_RULE);
      if (model !== undefined && provider === undefined) check.bad('model', 'needs provider');
      const from = fromWireTime('start_time', request.startTime, check);
      const to = fromWireTime('end_time', request.endTime, check);
      if (from !== undefined && to !== undefined && to <= from)
        check.bad('end_time', 'must be after start_time');
      const filter = { from, to, provider, model };
      const scope = ['repricing', application, id, from, to, provider, model];
      const after = fromRepricingPosition(tokens.read(request.pageToken, scope, check));
      check.done();
      if (id === undefined) throw new Error('a request without an id does not pass its check');
      const options = { after, now: new Date(), deadline };
      const result = await ledger.repricings.run(application, id, filter, options);
      const last = result.after;
      return {
        repricingId: id,
        repricedEventCount: String(result.priced),
        addedCost: toWireCost(result.cost),
        unpricedEventCount: String(result.unpriced),
        nextPageToken:
          last === undefined ? '' : tokens.write([last.eventTime.getTime(), last.eventId], scope),
      };
    }),
  };
}

function fromRepricingPosition(position: unknown): UnpricedPosition | undefined {
  const at = fromTimeAndId(position);
  return at && { eventTime: at.time, eventId: at.id };
}

const SOURCES = ['application', 'catalogue'] as const;

type ProviderPosition = readonly [source: Price['source'], provider: string];

function fromProviderPosition(position: unknown): ProviderPosition | undefined {
  if (!Array.isArray(position)) return undefined;
  const [sourceText, provider] = position as readonly unknown[];
  const source = SOURCES.find((one) => one === sourceText);
  return source === undefined || typeof provider !== 'string' ? undefined : [source, provider];
}

function isBehindProvider({ source, provider }: PricedProvider, after: ProviderPosition): boolean {
  if (source === after[0]) return provider > after[1];
  return SOURCES.indexOf(source) > SOURCES.indexOf(after[0]);
}

function checkedPriceId(text: string, check: RequestCheck): Uuid {
  if (text === '') check.bad('price_id', 'is required');
  check.done();
  const id = parseUuid(text);
  if (id !== undefined) return id;
  throw new Fault(
    'PRICE_NOT_FOUND',
    `There is no price '${shown(text)}' of this application or the catalogue.`,
    { metadata: { price_id: shown(text) } },
  );
}

function fromWireSource(
  wire: ListPricesRequest__Output['source'],
  check: RequestCheck,
): Price['source'] | undefined {
  switch (wire) {
    case 'PRICE_SOURCE_UNSPECIFIED':
      return undefined;
    case 'PRICE_SOURCE_APPLICATION':
      return 'application';
    case 'PRICE_SOURCE_CATALOGUE':
      return 'catalogue';
    default:
      // A number that the contract does not name comes here, whatever the type says.
      wire satisfies never;
      check.bad('source', 'is not a source of the contract');
      return undefined;
  }
}

function toTokenPosition(application: string, price: Price): unknown {
  const owner = price.source === 'catalogue' ? '' : application;
  return [
    owner,
    price.provider,
    price.model,
    price.effectiveTime?.getTime() ?? null,
    price.createTime.getTime(),
    price.id,
  ];
}

function fromTokenPosition(position: unknown): PricePosition | undefined {
  if (!Array.isArray(position)) return undefined;
  const [owner, provider, model, effective, created, id] = position as readonly unknown[];
  const uuid = typeof id === 'string' ? parseUuid(id) : undefined;
  if (typeof owner !== 'string' || typeof provider !== 'string' || typeof model !== 'string')
    return undefined;
  if (typeof created !== 'number' || uuid === undefined) return undefined;
  return {
    owner,
    provider,
    model,
    effectiveTime: typeof effective === 'number' ? new Date(effective) : undefined,
    createTime: new Date(created),
    id: uuid,
  };
}

const PROVIDER_RULE = shortTextRule(PROVIDER_LENGTH_MAX);
const MODEL_RULE = shortTextRule(MODEL_LENGTH_MAX);
