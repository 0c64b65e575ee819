import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { formatMoney } from '../services/domain/money.js';
import { type UnitKind, unitKind } from '../services/domain/units.js';
import { cataloguePath, formatCatalogue, parseCatalogue } from '../services/pricing/catalogue.js';
import type { Price } from '../services/pricing/price.js';
import { PriceBook } from '../services/pricing/price-book.js';
import { bundledData } from '../services/pricing/seed/bundled-data.js';
import { pricePerUnit } from '../services/pricing/seed/price-per-unit.js';
import { type SeedResult, seedCatalogue } from '../services/pricing/seed/seed-catalogue.js';
import { seedReport } from '../services/pricing/seed/seed-report.js';

const MAY = new Date('2026-05-01T00:00:00Z');
const JUNE = new Date('2026-06-01T00:00:00Z');
const JULY = new Date('2026-07-01T00:00:00Z');
const committed = readFileSync(cataloguePath(), 'utf8');

describe('the committed catalogue', () => {
  it('is what the installed data gives, with its report', async () => {
    const { providers, source } = await bundledData();
    const result = seedCatalogue({ providers, source, existing: parseCatalogue(committed), now: JULY });
    expect(result).toMatchObject({ appended: [], doubts: [], problems: [] });
    expect(formatCatalogue(result.prices)).toBe(committed);
    const report = readFileSync(join(dirname(cataloguePath()), 'catalogue-report.txt'), 'utf8');
    expect(seedReport(result, source)).toBe(report);
  });

  it('made anew has the same prices under ids that fit its own time', async () => {
    const { providers, source } = await bundledData();
    const [once, again] = [MAY, MAY].map(
      (now) => seedCatalogue({ providers, source, existing: [], now }).prices,
    );
    expect(formatCatalogue(once ?? [])).toBe(formatCatalogue(again ?? []));
    expect(once).toHaveLength(parseCatalogue(committed).length);
  });

  it('says of a model without a price that it was not imported, and why', async () => {
    const { providers, source } = await bundledData();
    const { notes } = seedCatalogue({ providers, source, existing: [], now: MAY });
    const count = (topic: string) => notes.filter((note) => note.topic === topic).length;
    expect(
      Object.fromEntries(
        ['NO_PRICE', 'FREE_BY_NAME', 'TIME_OF_DAY', 'KEY_UNKNOWN', 'KEY_CONFLICT'].map((topic) => [
          topic,
          count(topic),
        ]),
      ),
    ).toEqual({
      NO_PRICE: 21,
      FREE_BY_NAME: 142,
      TIME_OF_DAY: 6,
      KEY_UNKNOWN: 0,
      KEY_CONFLICT: 0,
    });
  });

  it('passes the script with --check', { timeout: 60_000 }, async () => {
    const script = join(dirname(cataloguePath()), 'seed', 'main.ts');
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, '--check']);
    expect(stdout).toContain('43 providers, 1694 models');
    expect(readFileSync(cataloguePath(), 'utf8')).toBe(committed);
  });
});

describe('a listed price', () => {
  it.each<[listed: number, units: bigint, price: string, rounded: boolean]>([
    [0.15, 1_000_000n, '0.00000015', false],
    [2.5, 1_000_000n, '0.0000025', false],
    [36e-4, 1_000_000n, '0.0000000036', false],
    [1e-7, 1_000_000n, '0.0000000000001', false],
    [1e-12, 1_000_000n, '0.000000000000000001', false],
    [0.000000000001, 1_000_000n, '0.000000000000000001', false],
    [1e21, 1_000_000n, '1000000000000000', false],
    [0, 1_000_000n, '0', false],
    [10, 1_000n, '0.01', false],
    [0.36, 3_600_000n, '0.0000001', false],
    // The seven of the data that no one has written by hand, and prices an hour.
    [0.08333333333333334, 1_000_000n, '0.000000083333333333', true],
    [0.18000000000000002, 1_000_000n, '0.00000018', true],
    [0.111, 3_600_000n, '0.000000030833333333', true],
    [0.04, 3_600_000n, '0.000000011111111111', true],
    [3, 3_600_000n, '0.000000833333333333', true],
    [0.0000006, 1_000_000_000_000n, '0.000000000000000001', true],
    [0.0000005, 1_000_000_000_000n, '0.000000000000000001', true],
    [0.0000004, 1_000_000_000_000n, '0', true],
  ])('of %s for %s units is %s a unit', (listed, units, price, rounded) => {
    const perUnit = pricePerUnit(listed, units);
    expect([formatMoney(perUnit.price), perUnit.rounded]).toEqual([price, rounded]);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('is not %s', (listed) => {
    expect(() => pricePerUnit(listed, 1n)).toThrow('is not a price');
  });
});

describe('seeding', () => {
  it('maps each key of the data to its kind and direction', () => {
    const prices = {
      input_mtok: 1,
      output_mtok: 2,
      cache_read_mtok: 3,
      cache_write_mtok: 4,
      cache_write_1h_mtok: 5,
      input_image_mtok: 6,
      cache_image_read_mtok: 7,
      output_image_mtok: 8,
      input_audio_mtok: 9,
      cache_audio_read_mtok: 10,
      output_audio_mtok: 11,
      input_video_mtok: 12,
      output_video_mtok: 13,
      output_reasoning_mtok: 14,
      output_citation_mtok: 15,
      web_searches_kcount: 16,
      storage_searches_kcount: 17,
      requests_kcount: 18,
      audio_hours: 36,
      input_document_kpages: 19,
      input_annotated_document_kpages: 20,
      input_text_messages_kcount: 21,
    };
    expect(ratesOf(only(seed([acme({ tiny: prices })])))).toEqual([
      'annotated_page.input 0.02',
      'audio.input 0.000009',
      'audio.output 0.000011',
      'audio_cache_read.input 0.00001',
      'audio_ms.input 0.00001',
      'citation.output 0.000015',
      'document_page.input 0.019',
      'reasoning.output 0.000014',
      'request.input 0.018',
      'storage_search_request.output 0.017',
      'text.input 0.000001',
      'text.output 0.000002',
      'text_cache_read.input 0.000003',
      'text_cache_write.input 0.000004',
      'text_cache_write_1h.input 0.000005',
      'text_message.input 0.021',
      'video.input 0.000012',
      'video.output 0.000013',
      'vision.input 0.000006',
      'vision.output 0.000008',
      'vision_cache_read.input 0.000007',
      'web_search_request.output 0.016',
    ]);
  });

  it.each<[what: string, prices: object, rates: readonly string[]]>([
    [
      'text',
      { input_mtok: 1, output_mtok: 2 },
      [
        'reasoning.output 0.000002 (text)',
        'text.input 0.000001',
        'text.output 0.000002',
        'text_cache_read.input 0.000001 (text)',
        'text_cache_write.input 0.000001 (text)',
        'vision.input 0.000001 (text)',
        'vision_cache_read.input 0.000001 (text)',
      ],
    ],
    [
      'text with its tier',
      { input_mtok: { base: 1, tiers: [{ start: 10, price: 3 }] } },
      [
        'text.input 0.000001 >10 0.000003',
        'text_cache_read.input 0.000001 >10 0.000003 (text)',
        'text_cache_write.input 0.000001 >10 0.000003 (text)',
        'vision.input 0.000001 >10 0.000003 (text)',
        'vision_cache_read.input 0.000001 >10 0.000003 (text)',
      ],
    ],
    [
      'vision, for cached images, without a cache price',
      { input_mtok: 1, input_image_mtok: 5 },
      [
        'text.input 0.000001',
        'text_cache_read.input 0.000001 (text)',
        'text_cache_write.input 0.000001 (text)',
        'vision.input 0.000005',
        'vision_cache_read.input 0.000005 (vision)',
      ],
    ],
    ['nothing, without a token price', { input_document_kpages: 1 }, ['document_page.input 0.001']],
  ])('lets kinds inherit from %s', (_, prices, rates) => {
    expect(ratesOf(only(seed([acme({ tiny: prices })])))).toEqual(rates);
  });

  it.each([
    [['ti', 'tiny'], '0.000001'],
    [['tiny', 'ti'], '0.000002'],
  ])(
    'keeps the order of the list %j: of the models that match a name the first counts',
    ([first = '', second = ''], input) => {
      const models = [first, second].map((text) => ({
        id: text,
        match: { starts_with: text },
        prices: { input_mtok: text === 'ti' ? 1 : 2 },
      }));
      const { prices } = seed([{ id: 'acme', models }]);
      expect(inputAt(prices, 'tiny-1', MAY)).toBe(input);
    },
  );

  it('takes the dated prices and leaves out windows of the day', () => {
    const window = { type: 'time_of_date', start_time: '01:00:00Z', end_time: '04:00:00Z' };
    const { prices, notes } = seed([
      acme({
        tiny: [
          { prices: { input_mtok: 1 } },
          { constraint: { type: 'start_date', start_date: '2026-03-01' }, prices: { input_mtok: 2 } },
          { constraint: window, prices: { input_mtok: 9 } },
        ],
      }),
    ]);
    expect(prices.map(shown)).toEqual(['tiny ever 0.000001', 'tiny 2026-03-01T00:00:00.000Z 0.000002']);
    expect(notes).toEqual([
      { topic: 'TIME_OF_DAY', subject: 'acme:tiny', text: '01:00:00Z-04:00:00Z {"input_mtok":9}' },
    ]);
  });

  it('imports no row for a model without prices, but for one that is free by its name', () => {
    const models = { 'tiny:free': {}, tiny: {} };
    const { prices, notes } = seed([provider('openrouter', models), provider('acme', models)]);
    expect(prices.map(({ provider: id, model }) => `${id}:${model}`)).toEqual(['openrouter:tiny:free']);
    expect(prices.map(shown)).toEqual(['tiny:free ever 0']);
    expect(notes.map(({ topic, subject }) => `${topic} ${subject}`)).toEqual([
      'FREE_BY_NAME openrouter:tiny:free',
      'NO_PRICE openrouter:tiny',
      'NO_PRICE acme:tiny:free',
      'NO_PRICE acme:tiny',
    ]);
  });

  it('reports keys that it does not know and keys that contradict each other', () => {
    const { prices, notes } = seed([
      acme({ tiny: { input_mtok: 1, smell_kcount: 2, audio_hours: 36, input_audio_hours: 72 } }),
    ]);
    expect(ratesOf(prices[0])).toContain('audio_ms.input 0.00001');
    expect(notes.map(({ topic, text }) => `${topic} ${text}`)).toEqual([
      'KEY_UNKNOWN smell_kcount',
      'KEY_CONFLICT input_audio_hours',
    ]);
  });

  it.each<[what: string, data: unknown]>([
    ['another shape', [{ id: 'acme' }]],
    ['another kind of constraint', [acme({ tiny: [{ constraint: { type: 'weekday' }, prices: {} }] })]],
    ['another kind of rule', [provider('acme', { tiny: {} }, { sounds_like: 'x' })]],
    ['a negative price', [acme({ tiny: { input_mtok: -1 } })]],
    ['dates out of order', [acme({ tiny: [dated('2026-02-01', 1), dated('2026-01-01', 2)] })]],
  ])('stops at data of %s', (_, data) => {
    expect(() => seed(data)).toThrow();
  });

  it.each<[what: string, data: unknown, problem: string]>([
    [
      'an expression that could be slow',
      [provider('acme', { tiny: { input_mtok: 1 } }, { regex: '^(a+)+$' })],
      'acme:tiny is matched by ^(a+)+$, which could be slow',
    ],
    [
      'a provider under an alias of another',
      [provider('bedrock', { tiny: { input_mtok: 1 } })],
      "provider bedrock is another provider's name in provider-id.ts",
    ],
    [
      'a fallback that the code does not have',
      [{ ...acme({}), fallback_model_providers: ['openai'] }],
      "provider acme falls back to 'openai', fallback-providers.ts says otherwise",
    ],
    [
      'a fallback that only the code has',
      [provider('azure', {})],
      "provider azure falls back to '', fallback-providers.ts says otherwise",
    ],
    [
      'a model twice',
      [
        {
          ...acme({}),
          models: [...acme({ tiny: { input_mtok: 1 } }).models, ...acme({ tiny: { input_mtok: 1 } }).models],
        },
      ],
      'provider acme lists a model twice',
    ],
    [
      'a name without a price that another model covers',
      [
        {
          ...acme({}),
          models: [
            ...acme({ 'tiny-x': {} }).models,
            ...provider('acme', { tiny: { input_mtok: 1 } }, { starts_with: 'tiny' }).models,
          ],
        },
      ],
      'acme:tiny-x has no price, but tiny-x would get the one of acme:tiny',
    ],
  ])('has a problem with %s', (_, data, problem) => {
    expect(seed(data).problems).toContain(problem);
  });

  it('finds a price that was edited by hand', () => {
    const { prices } = seed([acme({ tiny: { input_mtok: 1 } })]);
    const edited = parseCatalogue(formatCatalogue(prices).replace('"0.000001"', '"0.0000001"'));
    expect(seed([acme({ tiny: { input_mtok: 1 } })], edited).problems).toHaveLength(1);
  });

  it('doubts a token that costs as much as a million', () => {
    expect(seed([acme({ tiny: { input_mtok: 150_000 } })]).doubts).toHaveLength(5);
  });
});

describe('seeding again', () => {
  const before = seed([acme({ tiny: { input_mtok: 1 }, zeta: { input_mtok: 5 } })]).prices;

  it('with the same data appends nothing', () => {
    const again = seed([acme({ tiny: { input_mtok: 1 }, zeta: { input_mtok: 5 } })], before, JUNE);
    expect(again).toMatchObject({ appended: [], changes: [], doubts: [], problems: [] });
    expect(formatCatalogue(again.prices)).toBe(formatCatalogue(before));
  });

  it('appends a changed price and keeps the old one', () => {
    const again = seed([acme({ tiny: { input_mtok: 1.2 }, zeta: { input_mtok: 5 } })], before, JUNE);
    expect(again.prices.map(shown)).toEqual([
      'tiny ever 0.000001',
      'tiny ever 0.0000012',
      'zeta ever 0.000005',
    ]);
    expect(again.prices.slice(0, 1)).toEqual(before.slice(0, 1));
    expect(again.appended.map(({ createTime }) => createTime)).toEqual([JUNE]);
    expect(again.changes).toContain('acme:tiny since ever: text.input 0.000001 -> 0.0000012 (20 %)');
    expect(again.doubts).toEqual([]);
    expect(inputAt(again.prices, 'tiny', MAY)).toBe('0.0000012');
  });

  it('and back has the first price again, in a row of its own', () => {
    const up = seed([acme({ tiny: { input_mtok: 1.2 } })], before.slice(0, 1), JUNE);
    const down = seed([acme({ tiny: { input_mtok: 1 } })], up.prices, JULY);
    expect(new Set(down.prices.map(({ id }) => id)).size).toBe(3);
    expect(inputAt(down.prices, 'tiny', JULY)).toBe('0.000001');
  });

  it('appends a price from a new date on', () => {
    const again = seed(
      [acme({ tiny: [{ prices: { input_mtok: 1 } }, dated('2026-06-15', 1.1)] })],
      before.slice(0, 1),
      JUNE,
    );
    expect(again.appended.map(shown)).toEqual(['tiny 2026-06-15T00:00:00.000Z 0.0000011']);
  });

  it('ends a dated price that the data has taken back', () => {
    const announced = seed([acme({ tiny: [{ prices: { input_mtok: 1 } }, dated('2026-06-15', 2)] })]).prices;
    const again = seed([acme({ tiny: { input_mtok: 1 } })], announced, JUNE);
    expect(again.appended.map(shown)).toEqual(['tiny 2026-06-15T00:00:00.000Z 0.000001']);
    expect(inputAt(again.prices, 'tiny', JULY)).toBe('0.000001');
  });

  it('ends a model from the date on which the data has no more price for it', () => {
    const again = seed(
      [acme({ tiny: [{ prices: { input_mtok: 1 } }, { ...dated('2026-06-15', 0), prices: {} }] })],
      before.slice(0, 1),
      JUNE,
    );
    expect([inputAt(again.prices, 'tiny', JUNE), inputAt(again.prices, 'tiny', JULY)]).toEqual([
      '0.000001',
      'NO_PRICE_AT_TIME',
    ]);
  });

  it.each<[what: string, data: unknown, doubts: readonly string[]]>([
    [
      'more than 30 %',
      [acme({ tiny: { input_mtok: 1.301 } })],
      ['acme:tiny since ever: text.input 0.000001 -> 0.000001301 (30 %)'],
    ],
    [
      'down',
      [acme({ tiny: { input_mtok: 0.5 } })],
      ['acme:tiny since ever: text.input 0.000001 -> 0.0000005 (-50 %)'],
    ],
    [
      'from a date on',
      [acme({ tiny: [{ prices: { input_mtok: 1 } }, dated('2026-06-15', 2)] })],
      ['acme:tiny since 2026-06-15: text.input 0.000001 -> 0.000002 (100 %)'],
    ],
    [
      'only above a step',
      [acme({ tiny: { input_mtok: { base: 1, tiers: [{ start: 10, price: 9 }] } } })],
      ['acme:tiny since ever: text.input at 11 input units 0.000001 -> 0.000009 (800 %)'],
    ],
    [
      'to nothing',
      [acme({ tiny: { input_mtok: 0 } })],
      ['acme:tiny since ever: text.input 0.000001 -> 0 (-100 %)'],
    ],
  ])('doubts a price that moved %s', (_, data, doubts) => {
    expect(seed(data, before.slice(0, 1), JUNE).doubts).toEqual(doubts);
  });

  it('takes a price that moved 30 %', () => {
    expect(seed([acme({ tiny: { input_mtok: 1.3 } })], before.slice(0, 1), JUNE).doubts).toEqual([]);
  });

  it('doubts a rate that is gone', () => {
    const rich = seed([acme({ tiny: { input_mtok: 1, output_mtok: 2 } })]).prices;
    expect(seed([acme({ tiny: { input_mtok: 1 } })], rich, JUNE).doubts).toEqual([
      'acme:tiny since ever: reasoning.output is gone',
      'acme:tiny since ever: text.output is gone',
    ]);
  });

  it('doubts a model that is gone, and then finds it no more', () => {
    const again = seed([acme({ zeta: { input_mtok: 5 } })], before, JUNE);
    expect(again.doubts).toEqual(['acme:tiny is gone']);
    expect(inputAt(again.prices, 'tiny', MAY)).toBe('MODEL_UNKNOWN');
    expect(seed([acme({ zeta: { input_mtok: 5 } })], again.prices, JULY).appended).toEqual([]);
    const back = seed([acme({ tiny: { input_mtok: 1 }, zeta: { input_mtok: 5 } })], again.prices, JULY);
    expect(inputAt(back.prices, 'tiny', MAY)).toBe('0.000001');
  });

  it('takes up new spellings without a new price', () => {
    const again = seed(
      [provider('acme', { tiny: { input_mtok: 1 } }, { starts_with: 'ti' })],
      before.slice(0, 1),
      JUNE,
    );
    expect(again.appended).toHaveLength(1);
    expect(again.doubts).toEqual([]);
    expect(inputAt(again.prices, 'tiger', MAY)).toBe('0.000001');
  });

  it('puts a model between two others without touching them', () => {
    const again = seed(
      [acme({ tiny: { input_mtok: 1 }, under: { input_mtok: 3 }, zeta: { input_mtok: 5 } })],
      before,
      JUNE,
    );
    expect(again.appended.map(shown)).toEqual(['under ever 0.000003']);
    const ranks = Object.fromEntries(again.prices.map(({ model, rank }) => [model, rank]));
    expect(ranks).toEqual({ tiny: 1000, under: 1500, zeta: 2000 });
  });

  it('moves only what it must when there is no room between two others', () => {
    const tight = before.map((price) => (price.model === 'zeta' ? { ...price, rank: 1001 } : price));
    const again = seed(
      [acme({ tiny: { input_mtok: 1 }, under: { input_mtok: 3 }, zeta: { input_mtok: 5 } })],
      tight,
      JUNE,
    );
    expect(again.appended.map(({ model, rank }) => `${model} ${rank}`)).toEqual(['under 1001', 'zeta 2001']);
  });
});

function seed(providers: unknown, existing: readonly Price[] = [], now = MAY): SeedResult {
  return seedCatalogue({ providers, source: 'test 1', existing, now });
}

function acme(models: Readonly<Record<string, object>>) {
  return provider('acme', models);
}

/** A provider as the data lists it; a model is matched by its name if not said otherwise. */
function provider(id: string, models: Readonly<Record<string, object>>, match?: object) {
  return {
    id,
    models: Object.entries(models).map(([name, prices]) => ({
      id: name,
      match: match ?? { equals: name },
      prices,
    })),
  };
}

function dated(start_date: string, input_mtok: number) {
  return { constraint: { type: 'start_date', start_date }, prices: { input_mtok } };
}

function only({ prices }: SeedResult): Price | undefined {
  expect(prices).toHaveLength(1);
  return prices[0];
}

function shown({ model, effectiveTime, rates }: Price): string {
  const input = rates.get(unitKind('text'))?.input;
  return `${model} ${effectiveTime?.toISOString() ?? 'ever'} ${input === undefined ? 'none' : formatMoney(input.base)}`;
}

function ratesOf(price: Price | undefined): readonly string[] {
  const rates = price?.rates ?? new Map<UnitKind, never>();
  return [...rates].flatMap(([kind, rate]) =>
    (['input', 'output'] as const).flatMap((direction) => {
      const { base, tiers, inheritedFrom } = rate[direction] ?? {};
      if (base === undefined) return [];
      const steps = (tiers ?? [])
        .map((tier) => ` >${tier.inputUnitsAbove} ${formatMoney(tier.price)}`)
        .join('');
      const from = inheritedFrom === undefined ? '' : ` (${inheritedFrom})`;
      return [`${kind}.${direction} ${formatMoney(base)}${steps}${from}`];
    }),
  );
}

function inputAt(prices: readonly Price[], model: string, time: Date): string {
  const found = new PriceBook(prices).find('acme', model, time);
  if (!('price' in found)) return found.reason;
  const rate = found.price.rates.get(unitKind('text'))?.input;
  return rate === undefined ? 'none' : formatMoney(rate.base);
}
