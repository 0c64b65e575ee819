import { unitKind } from '../domain/units.js';
import type { ModelMatcher } from '../pricing/model-matcher.js';
import type { Price, Rate, UnitRate } from '../pricing/price.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import type { PriceDocument, RateFields } from './price-fields.js';
import { fromBinary, toBinary } from './store.js';

/** `owner`: the application, or empty for the catalogue. */
export function toPriceDocument(owner: string, price: Price): PriceDocument {
  return {
    _id: { a: owner, p: toBinary(price.id) },
    p: price.provider,
    m: price.model,
    ml: price.model.toLowerCase(),
    ...(price.effectiveTime === undefined ? {} : { q: price.effectiveTime }),
    ...(price.retired ? { x: true as const } : {}),
    rt: [...price.rates].map(([k, rate]) => ({
      k,
      ...(rate.input === undefined ? {} : { i: toRateFields(rate.input) }),
      ...(rate.output === undefined ? {} : { o: toRateFields(rate.output) }),
    })),
    ...(price.matchers.length === 0 ? {} : { mt: JSON.stringify(price.matchers) }),
    rk: price.rank,
    c: price.createTime,
    ...(price.sourceNote === '' ? {} : { sn: price.sourceNote }),
  };
}

export function fromPriceDocument(document: PriceDocument): Price {
  return {
    id: fromBinary(document._id.p),
    source: document._id.a === '' ? 'catalogue' : 'application',
    provider: document.p,
    model: document.m,
    matchers: document.mt === undefined ? [] : (JSON.parse(document.mt) as ModelMatcher[]), // Written above only.
    rank: document.rk ?? 0,
    effectiveTime: document.q,
    rates: new Map(
      document.rt.map(({ k, i, o }): [ReturnType<typeof unitKind>, UnitRate] => [
        unitKind(k),
        {
          ...(i === undefined ? {} : { input: fromRateFields(i) }),
          ...(o === undefined ? {} : { output: fromRateFields(o) }),
        },
      ]),
    ),
    retired: document.x === true,
    createTime: document.c,
    sourceNote: document.sn ?? '',
  };
}

function toRateFields(rate: Rate): RateFields {
  return {
    b: toDecimal(rate.base),
    ...(rate.tiers.length === 0
      ? {}
      : { t: rate.tiers.map(({ inputUnitsAbove, price }) => ({ n: inputUnitsAbove, p: toDecimal(price) })) }),
    ...(rate.inheritedFrom === undefined ? {} : { h: rate.inheritedFrom }),
  };
}

function fromRateFields(fields: RateFields): Rate {
  return {
    base: fromDecimal(fields.b),
    tiers: (fields.t ?? []).map(({ n, p }) => ({ inputUnitsAbove: BigInt(n), price: fromDecimal(p) })),
    ...(fields.h === undefined ? {} : { inheritedFrom: unitKind(fields.h) }),
  };
}
