import type { FastifyRequest } from 'fastify';
import type { Price } from '../../client/index.js';
import { categoryOf } from '../category.js';
import { listShapeOf } from '../client-era.js';
import { exactNumber } from '../json-text.js';

/** One version of a resource: a dated price, and from when on it applies no longer. */
export interface ResourceVersion {
  readonly price: Price;
  /** undefined: without end. */
  readonly endTime: Date | undefined;
}

/** The versions of one resource of a source, oldest first; ends are no versions but end the one before them. */
export function versionsOf(prices: readonly Price[]): readonly ResourceVersion[] {
  return prices.flatMap((price, index) =>
    price.retired ? [] : [{ price, endTime: prices[index + 1]?.effectiveTime }],
  );
}

/**
 * Writes resources as the caller of this request reads them. Clients that read arrays demand both prices of a unit: to them
 * one that there is not is 0, while what is used of it stays unpriced; to later ones it is absent. Of rates with steps the
 * base is answered: that API knows no steps.
 */
export function resourceWriter({
  headers,
}: Pick<FastifyRequest, 'headers'>): (version: ResourceVersion) => object {
  const absent = listShapeOf(headers) === 'array' ? exactNumber('0') : undefined;
  return ({ price, endTime }) => ({
    category: categoryOf(price),
    resource: price.model,
    resource_id: price.priceId,
    start_timestamp: (price.effectiveTime ?? SINCE_EVER).toISOString(),
    ...(endTime === undefined ? {} : { deprecated_timestamp: endTime.toISOString() }),
    proxy_allowed: price.source === 'CATALOGUE' && PROXIED_PROVIDERS.has(price.provider),
    units: Object.fromEntries(
      Object.entries(price.rates).map(([kind, { input, output }]) => [
        kind,
        {
          input_price: input === undefined ? absent : exactNumber(input.base),
          output_price: output === undefined ? absent : exactNumber(output.base),
        },
      ]),
    ),
  });
}

/** The member is never absent there; a price since ever has no start. */
export const SINCE_EVER = new Date(0);
/** Whose protocol the proxy speaks. */
const PROXIED_PROVIDERS: ReadonlySet<string> = new Set(['anthropic', 'openai']);
