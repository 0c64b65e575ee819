import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addMoney, formatMoney, type Money, parseMoney } from '../services/domain/money.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { type UnitCount, type UnitKind, type Units, unitKind } from '../services/domain/units.js';
import { loadCatalogue, parseCatalogue } from '../services/pricing/catalogue.js';
import { CatalogueIndex } from '../services/pricing/catalogue-index.js';
import { catalogueId } from '../services/pricing/catalogue-line.js';
import { type CostOfUnits, costOfUnits } from '../services/pricing/cost-of-units.js';
import { isSafeRegex, type ModelMatcher } from '../services/pricing/model-matcher.js';
import type { Price } from '../services/pricing/price.js';
import { PriceBook } from '../services/pricing/price-book.js';
import { providerId } from '../services/pricing/provider-id.js';

const catalogue = loadCatalogue();
const index = new CatalogueIndex(catalogue);
const book = new PriceBook([], index);
const NOW = new Date('2026-11-20T12:00:00Z');

describe('the cost of units is exact', () => {
  it.each<[provider: string, model: string, units: Units, input: string, output: string, total: string]>([
    ['openai', 'gpt-4o-mini', units({ text: [1000, 500] }), '0.00015', '0.0003', '0.00045'],
    ['openai', 'gpt-4o', units({ text: [1000, 500] }), '0.0025', '0.005', '0.0075'],
    ['openai', 'gpt-4.1-mini', units({ text: [1000, 500] }), '0.0004', '0.0008', '0.0012'],
    ['openai', 'text-embedding-3-small', units({ text: [1_000_000, 0] }), '0.02', '0', '0.02'],
    ['openai', 'gpt-4o-mini', units({ text: [1, 0] }), '0.00000015', '0', '0.00000015'],
    ['openai', 'gpt-4o-mini', units({ text: [10 ** 12, 0] }), '150000', '0', '150000'],
    ['openai', 'gpt-4o-mini', units({}), '0', '0', '0'],
    ['openai', 'gpt-4o-mini', units({ audio: [0, 0] }), '0', '0', '0'],
    // A cached token costs half.
    [
      'openai',
      'gpt-4o-mini',
      units({ text: [1000, 500], text_cache_read: [2000, 0] }),
      '0.0003',
      '0.0003',
      '0.0006',
    ],
    ['anthropic', 'claude-sonnet-4-5', units({ text_cache_read: [1000, 0] }), '0.0003', '0', '0.0003'],
    ['anthropic', 'claude-sonnet-4-5', units({ text_cache_write: [1000, 0] }), '0.00375', '0', '0.00375'],
    ['anthropic', 'claude-sonnet-4-5', units({ text_cache_write_1h: [1000, 0] }), '0.006', '0', '0.006'],
    ['anthropic', 'claude-sonnet-4-5', units({ web_search_request: [0, 3] }), '0', '0.03', '0.03'],
    ['openai', 'whisper-1', units({ audio_ms: [90_000, 0] }), '0.009', '0', '0.009'],
    // A repeating price, 0.111 an hour: rounded once, in the catalogue.
    [
      'groq',
      'whisper-large-v3',
      units({ audio_ms: [1, 0] }),
      '0.000000030833333333',
      '0',
      '0.000000030833333333',
    ],
    ['perplexity', 'sonar', units({ text: [1000, 1000], request: [1, 0] }), '0.013', '0.001', '0.014'],
    ['mistral', 'mistral-ocr-2512', units({ document_page: [7, 0] }), '0.014', '0', '0.014'],
    // Without a list price of their own: images at the price of text, reasoning at the price of the answer.
    [
      'openai',
      'gpt-4o-mini',
      units({ vision: [1000, 0], reasoning: [0, 500] }),
      '0.00015',
      '0.0003',
      '0.00045',
    ],
    ['openrouter', 'deepseek-r1:free', units({ text: [1000, 500] }), '0', '0', '0'],
  ])('%s %s %o', (provider, model, used, input, output, total) => {
    const cost = costOfUnits(used, book.find(provider, model, NOW));
    expect(shown(cost)).toEqual({ input, output, total, unpriced: [] });
  });
});

describe('a tier', () => {
  it.each<[units: Units, input: string, output: string]>([
    [units({ text: [200_000, 0] }), '0.6', '0'],
    [units({ text: [200_001, 0] }), '1.200006', '0'],
    // The answer is re-rated too, by the input alone.
    [units({ text: [200_000, 300_000] }), '0.6', '4.5'],
    [units({ text: [200_001, 1000] }), '1.200006', '0.0225'],
    // Cached tokens count for the step like all others.
    [units({ text: [140_000, 0], text_cache_read: [60_000, 0] }), '0.438', '0'],
    [units({ text: [140_000, 0], text_cache_read: [60_001, 0] }), '0.8760006', '0'],
    [units({ text: [100_000, 0], text_cache_write: [50_000, 0], vision: [50_001, 0] }), '1.275006', '0'],
    // What is not counted in tokens does not.
    [units({ text: [200_000, 0], web_search_request: [0, 1] }), '0.6', '0.01'],
  ])('of claude-sonnet-4-5 applies to the whole request above 200,000 tokens: %o', (used, input, output) => {
    const cost = costOfUnits(used, book.find('anthropic', 'claude-sonnet-4-5', NOW));
    expect(shown(cost)).toMatchObject({ input, output, unpriced: [] });
  });

  it('applies from 272,000 where the list says so', () => {
    const found = book.find('openai', 'gpt-5.5', NOW);
    const at = (tokens: number) => formatMoney(costOfUnits(units({ text: [tokens, 0] }), found).input);
    expect([at(271_999), at(272_000)]).toEqual(['1.359995', '2.72']);
  });
});

describe('the price in force at the time of the event', () => {
  it.each([
    ['2024-01-01T00:00:00Z', '0.03'],
    ['2025-06-09T23:59:59.999Z', '0.03'],
    ['2025-06-10T00:00:00.000Z', '0.006'],
    ['2026-11-20T12:00:00Z', '0.006'],
  ])('of o3 on %s makes %s', (time, total) => {
    const cost = costOfUnits(units({ text: [1000, 500] }), book.find('openai', 'o3', new Date(time)));
    expect(formatMoney(cost.total)).toBe(total);
  });
});

describe('units without a price', () => {
  it.each<
    [what: string, provider: string, model: string, units: Units, total: string, unpriced: readonly string[]]
  >([
    [
      'a kind',
      'openai',
      'gpt-4o-mini',
      units({ text: [1000, 500], audio: [7, 9] }),
      '0.00045',
      ['audio 7/9 UNIT_KIND_NOT_PRICED'],
    ],
    [
      'one direction',
      'openai',
      'text-embedding-3-small',
      units({ text: [1_000_000, 5] }),
      '0.02',
      ['text 0/5 UNIT_KIND_NOT_PRICED'],
    ],
    [
      'a one-hour cache write',
      'openai',
      'gpt-4o-mini',
      units({ text_cache_write_1h: [5, 0] }),
      '0',
      ['text_cache_write_1h 5/0 UNIT_KIND_NOT_PRICED'],
    ],
    [
      'a kind of our own',
      'openai',
      'gpt-4o-mini',
      units({ zebra: [0, 1], apple: [1, 0] }),
      '0',
      ['apple 1/0 UNIT_KIND_NOT_PRICED', 'zebra 0/1 UNIT_KIND_NOT_PRICED'],
    ],
    [
      'a provider',
      'acme',
      'gpt-4o-mini',
      units({ text: [1, 2], audio: [0, 0] }),
      '0',
      ['text 1/2 PROVIDER_UNKNOWN'],
    ],
    ['no provider', '', 'gpt-4o-mini', units({ text: [1, 2] }), '0', ['text 1/2 PROVIDER_UNKNOWN']],
    ['a model', 'openai', 'gpt-4o-mini-2099-01-01', units({ text: [1, 2] }), '0', ['text 1/2 MODEL_UNKNOWN']],
    // The package has these without any price and would say 0.
    ['a listed model', 'openai', 'text-moderation', units({ text: [1, 2] }), '0', ['text 1/2 MODEL_UNKNOWN']],
    ['a free tier', 'google', 'gemma-3-27b-it', units({ text: [1, 2] }), '0', ['text 1/2 MODEL_UNKNOWN']],
    ['a name', 'openai', 'x'.repeat(100_000), units({ text: [1, 2] }), '0', ['text 1/2 MODEL_UNKNOWN']],
  ])('are kept beside the cost of the rest: %s', (_, provider, model, used, total, unpriced) => {
    const cost = costOfUnits(used, book.find(provider, model, NOW));
    expect(formatMoney(cost.total)).toBe(total);
    expect(cost.unpriced.map((left) => `${left.kind} ${left.input}/${left.output} ${left.reason}`)).toEqual(
      unpriced,
    );
  });

  it('of a model that has no price yet say so', () => {
    const later = new PriceBook([ownPrice({ effectiveTime: new Date('2026-06-01T00:00:00Z') })], index);
    const cost = costOfUnits(
      units({ text: [1, 2] }),
      later.find('acme', 'tiny', new Date('2026-05-31T23:59:59Z')),
    );
    expect(shown(cost)).toEqual({
      input: '0',
      output: '0',
      total: '0',
      unpriced: [{ kind: 'text', input: 1n, output: 2n, reason: 'NO_PRICE_AT_TIME' }],
    });
  });
});

describe('a model is found', () => {
  it.each([
    // Providers by the names of OpenTelemetry, of Pay-i and of libraries.
    ['openai', 'gpt-4o-mini', 'openai:gpt-4o-mini'],
    ['OpenAI ', 'GPT-4o-mini', 'openai:gpt-4o-mini'],
    ['system.openai', 'gpt-4o-mini', 'openai:gpt-4o-mini'],
    ['azure.ai.openai', 'text-embedding-ada-002', 'azure:ada'],
    ['system.azureopenai', 'text-embedding-ada-002', 'azure:ada'],
    ['azure.ai.inference', 'text-embedding-ada-002', 'azure:ada'],
    ['x_ai', 'grok-4', 'x-ai:grok-4-0709'],
    ['aws.bedrock', 'amazon.nova-lite-v1:0', 'aws:amazon.nova-lite-v1:0'],
    ['system.aws.bedrock', 'amazon.nova-lite-v1:0', 'aws:amazon.nova-lite-v1:0'],
    ['gcp.vertex_ai', 'gemini-2.5-pro', 'google:gemini-2.5-pro'],
    ['gcp.gemini', 'gemini-2.5-pro', 'google:gemini-2.5-pro'],
    ['vertexai', 'gemini-2.5-pro', 'google:gemini-2.5-pro'],
    ['system.google.vertex', 'anthropic.claude-sonnet-4-5', 'google:claude-sonnet-4-5'],
    ['mistral_ai', 'codestral-latest', 'mistral:codestral'],
    ['system.anthropic', 'claude-haiku-4-5', 'anthropic:claude-haiku-4-5'],
    // Spellings.
    ['openai', ' GPT-4O ', 'openai:gpt-4o'],
    ['openai', 'gpt-4o-mini-2024-07-18', 'openai:gpt-4o-mini'],
    ['openai', 'gpt-4o-mini-20240718', 'openai:gpt-4o-mini'],
    ['openai', 'gpt-4o-2024-08-06', 'openai:gpt-4o'],
    ['openai', 'gpt-4.1-mini-2025-04-14', 'openai:gpt-4.1-mini'],
    ['anthropic', 'claude-sonnet-4-5-20991231', 'anthropic:claude-sonnet-4-5'],
    [
      'aws',
      'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
      'aws:regional.anthropic.claude-sonnet-4-5-20250929-v1:0',
    ],
    ['cursor', 'composer-2.5[fast=true]', 'cursor:composer-2.5-fast'],
    // The first that matches: neither is the other's price.
    ['google', 'gemini-2.5-pro-preview-tts', 'google:gemini-2.5-pro-tts'],
    ['google', 'gemini-2.5-pro-preview-05-06', 'google:gemini-2.5-pro'],
    // Resold models, at the price of their maker.
    ['azure', 'gpt-4o-mini', 'openai:gpt-4o-mini'],
    ['azure', 'gpt-4o-mini-20240718', 'openai:gpt-4o-mini'],
    ['azure', 'claude-opus-4-1', 'anthropic:claude-opus-4-1'],
    ['google', 'claude-opus-4-5', 'anthropic:claude-opus-4-5'],
    ['anthropic', 'claude-sonnet-4-5'.padEnd(256, 'x'), 'anthropic:claude-sonnet-4-5'],
    ['anthropic', 'claude-sonnet-4-5'.padEnd(257, 'x'), 'MODEL_UNKNOWN'],
    // Not a date: left as it is.
    ['openai', 'gpt-4o-mini-20240231', 'MODEL_UNKNOWN'],
    ['anthropic', 'gpt-4o-mini', 'MODEL_UNKNOWN'],
    ['openai', '', 'MODEL_UNKNOWN'],
    ['ibm.watsonx.ai', 'granite', 'PROVIDER_UNKNOWN'],
    ['__proto__', 'constructor', 'PROVIDER_UNKNOWN'],
  ])('for %s %s: %s', (provider, model, expected) => {
    const found = book.find(provider, model, NOW);
    expect('price' in found ? `${found.price.provider}:${found.price.model}` : found.reason).toBe(expected);
  });

  it('the same however often and after however many other names it is asked for', () => {
    const first = book.find('openai', 'gpt-4o-mini', NOW);
    for (let count = 0; count < 5_000; count += 1) book.find('openai', `no-such-model-${count}`, NOW);
    expect(book.find('openai', 'gpt-4o-mini', NOW)).toEqual(first);
  });

  it('under no name that another provider has', () => {
    for (const { provider } of catalogue) expect(providerId(provider)).toBe(provider);
  });
});

describe("an application's own price", () => {
  const january = new Date('2026-01-01T00:00:00Z');
  const march = new Date('2026-03-01T00:00:00Z');
  const own = { provider: 'azure.ai.openai', model: 'GPT-4o-mini', text: ['0.01', '0.02'] } as const;

  it.each<[what: string, prices: readonly Price[], time: string, input: string]>([
    [
      'comes before the catalogue',
      [ownPrice({ ...own, effectiveTime: january })],
      '2026-01-01T00:00:00Z',
      '0.01',
    ],
    [
      'does not apply before its time',
      [ownPrice({ ...own, effectiveTime: january })],
      '2025-12-31T23:59:59.999Z',
      '0.00000015',
    ],
    ['applies since ever without a time', [ownPrice(own)], '1999-01-01T00:00:00Z', '0.01'],
    [
      'is ended by the next',
      [
        ownPrice({ ...own, effectiveTime: january }),
        ownPrice({ ...own, text: ['0.03', '0'], effectiveTime: march }),
      ],
      '2026-03-01T00:00:00Z',
      '0.03',
    ],
    [
      'is not ended early by the next',
      [
        ownPrice({ ...own, text: ['0.03', '0'], effectiveTime: march }),
        ownPrice({ ...own, effectiveTime: january }),
      ],
      '2026-02-28T23:59:59.999Z',
      '0.01',
    ],
    [
      'gives way to one appended later for the same time',
      [
        ownPrice({ ...own, text: ['0.05', '0'], effectiveTime: january, createTime: march }),
        ownPrice({ ...own, effectiveTime: january, createTime: january }),
      ],
      '2026-04-01T00:00:00Z',
      '0.05',
    ],
    [
      'falls back to the catalogue when retired',
      [
        ownPrice({ ...own, effectiveTime: january }),
        ownPrice({ ...own, retired: true, effectiveTime: march }),
      ],
      '2026-03-01T00:00:00Z',
      '0.00000015',
    ],
    [
      'still applies to what was before its retirement',
      [
        ownPrice({ ...own, effectiveTime: january }),
        ownPrice({ ...own, retired: true, effectiveTime: march }),
      ],
      '2026-02-28T23:59:59Z',
      '0.01',
    ],
    [
      'can come again after a retirement',
      [
        ownPrice({ ...own, retired: true, effectiveTime: january }),
        ownPrice({ ...own, effectiveTime: march, text: ['0.07', '0'] }),
      ],
      '2026-04-01T00:00:00Z',
      '0.07',
    ],
  ])('%s', (_, prices, time, input) => {
    const found = new PriceBook(prices, index).find('system.azureopenai', 'gpt-4o-mini', new Date(time));
    expect(formatMoney(costOfUnits(units({ text: [1, 0] }), found).input)).toBe(input);
  });

  it.each([
    ['azure', 'gpt-4o-mini-2024-07-18', 'catalogue'],
    ['openai', 'gpt-4o-mini', 'catalogue'],
    ['azure', ' gpt-4O-MINI', 'application'],
  ])('covers exactly its model: %s %s is priced by the %s', (provider, model, source) => {
    expect(new PriceBook([ownPrice(own)], index).find(provider, model, NOW)).toMatchObject({
      price: { source },
    });
  });

  it.each([
    ['acme', 'tiny', 'NO_PRICE_AT_TIME'],
    ['acme', 'other', 'MODEL_UNKNOWN'],
    ['other', 'tiny', 'PROVIDER_UNKNOWN'],
  ])('without a catalogue behind it leaves %s %s unpriced: %s', (provider, model, reason) => {
    const retired = new PriceBook([ownPrice({}), ownPrice({ retired: true, effectiveTime: january })]);
    expect(retired.find(provider, model, NOW)).toEqual({ reason });
  });

  it('applies beside catalogue prices given in the same list', () => {
    const whole = new PriceBook([...catalogue, ownPrice({})]);
    expect(whole.find('acme', 'tiny', NOW)).toMatchObject({ price: { source: 'application' } });
    expect(whole.find('openai', 'gpt-4o', NOW)).toMatchObject({ price: { source: 'catalogue' } });
  });

  it('may ask for more than any event may cost without an error', () => {
    const dear = new PriceBook([ownPrice({ text: ['10000', '10000'] })]);
    const cost = costOfUnits(units({ text: [10 ** 12, 10 ** 12] }), dear.find('acme', 'tiny', NOW));
    expect(shown(cost)).toMatchObject({ input: '1000000000000000', total: '2000000000000000' });
  });
});

describe('the catalogue', () => {
  it('has rates that are inherited marked as such', () => {
    const rates = priceOf('openai', 'gpt-4o-mini').rates;
    expect(
      [...rates]
        .flatMap(([kind, { input, output }]) => [
          `${kind}.input ${input?.inheritedFrom ?? (input === undefined ? 'none' : 'own')}`,
          `${kind}.output ${output?.inheritedFrom ?? (output === undefined ? 'none' : 'own')}`,
        ])
        .filter((line) => !line.endsWith('none'))
        .sort(),
    ).toEqual([
      'reasoning.output text',
      'storage_search_request.output own',
      'text.input own',
      'text.output own',
      'text_cache_read.input own',
      'text_cache_write.input text',
      'vision.input text',
      'vision_cache_read.input text_cache_read',
      'web_search_request.output own',
    ]);
  });

  it('has no price twice and no price whose content does not fit its id', () => {
    expect(new Set(catalogue.map(({ id }) => id)).size).toBe(catalogue.length);
    expect(catalogue.filter((price) => catalogueId(price) !== price.id)).toEqual([]);
  });

  it.each<[what: string, change: Record<string, unknown>]>([
    ['an id that is none', { id: 'x' }],
    ['a rate in exponents', { rates: { text: { input: '1e-7' } } }],
    ['a rate as a number', { rates: { text: { input: 0.1 } } }],
    ['a negative rate', { rates: { text: { input: '-1' } } }],
    ['a rate beyond all sense', { rates: { text: { input: '10001' } } }],
    ['a kind that is none', { rates: { 'a.b': { input: '1' } } }],
    ['a direction that is none', { rates: { text: { sideways: '1' } } }],
    [
      'tiers that do not ascend',
      {
        rates: {
          text: {
            input: {
              base: '1',
              tiers: [
                { above: 2, price: '1' },
                { above: 2, price: '1' },
              ],
            },
          },
        },
      },
    ],
    ['an inheritance from nothing', { inherited: { input: { vision: 'audio' } } }],
    ['an inheritance over a rate', { inherited: { input: { text: 'text' } } }],
    ['a rule that is none', { match: [{ sounds_like: 'x' }] }],
    ['two rules in one', { match: [{ equals: 'x', contains: 'y' }] }],
    ['a date that is none', { from: '2026-02-30T00:00:00.000Z' }],
    ['a retirement that is none', { retired: false }],
    ['a rank that is none', { rank: 1.5 }],
    ['a member more', { note: 'x' }],
  ])('is refused with %s', (_, change) => {
    const line = {
      id: '00000000-0000-5000-8000-000000000000',
      provider: 'acme',
      model: 'tiny',
      rank: 1,
      match: [{ equals: 'tiny' }],
      rates: { text: { input: '1' } },
      created: '2026-01-01T00:00:00.000Z',
      source: 'test',
    };
    expect(parseCatalogue(JSON.stringify([line]))).toHaveLength(1);
    expect(() => parseCatalogue(JSON.stringify([{ ...line, ...change }]))).toThrow(
      'price 1 of the catalogue is broken',
    );
  });

  it('is refused when it is no list', () => {
    expect(() => parseCatalogue('{}')).toThrow('a catalogue is a list');
  });
});

describe('an expression over names', () => {
  it.each([
    ['^gpt-\\d{8}$', true],
    ['^(?!.*-[tT][tT][sS](?:$|-))', true],
    ['^composer-2\\.5\\[fast=true\\]$', true],
    ['^a+$', true],
    ['^(a+)+$', false],
    ['^(a|a)*$', false],
    ['a+b+', false],
    ['(a|b){20}', false],
    ['a?a?a?', false],
    ['a{1,20}', false],
    ['(a)\\1', false],
    ['(?:a|b)(?:c|d)(?:e|f)(?:g|h)(?:i|j)', false],
    ['a'.repeat(200), false],
  ])('%s is safe: %s', (source, expected) => {
    expect(isSafeRegex(source)).toBe(expected);
  });

  it('that is not safe never gets into an index', () => {
    const price = { ...priceOf('openai', 'gpt-4o'), matchers: [{ regex: '^(a+)+$' }] };
    expect(() => new CatalogueIndex([price])).toThrow('could be slow');
  });

  it('of the catalogue meets the worst names in well under a millisecond each', () => {
    const sources = new Set(catalogue.flatMap(({ matchers }) => matchers.flatMap(regexesOf)));
    expect(sources.size).toBeGreaterThan(30);
    for (const source of sources) {
      const regex = new RegExp(source);
      const startMs = performance.now();
      for (const part of ['-', 'a', '1', '-t', '-tts', 'gpt-5-', '-20240718'])
        regex.test(part.repeat(512).slice(0, 512));
      expect(performance.now() - startMs).toBeLessThan(50);
    }
  });
});

describe('whatever the units and the price', () => {
  const kinds = ['text', 'text_cache_read', 'text_cache_write', 'vision', 'audio', 'reasoning', 'own_kind'];
  const count = fc.record({ input: fc.bigInt(0n, 10n ** 9n), output: fc.bigInt(0n, 10n ** 9n) });
  const someUnits = fc
    .uniqueArray(fc.tuple(fc.constantFrom(...kinds.map(unitKind)), count), { selector: ([kind]) => kind })
    .map((entries): Units => new Map(entries));
  const somePrice = fc.constantFrom(...catalogue).map((price) => ({ price }));
  const flatPrice = fc
    .constantFrom(...catalogue.filter(({ rates }) => [...rates.values()].every(isFlat)))
    .map((price) => ({ price }));

  it('the total is input and output together', () => {
    fc.assert(
      fc.property(someUnits, somePrice, (used, found) => {
        const { input, output, total } = costOfUnits(used, found);
        expect(addMoney(input, output)).toBe(total);
      }),
    );
  });

  it('two uses cost what both together cost, within one tier', () => {
    fc.assert(
      fc.property(someUnits, someUnits, flatPrice, (a, b, found) => {
        const [costA, costB, costOfBoth] = [a, b, sumOf(a, b)].map((used) => costOfUnits(used, found));
        expect(addMoney(costA?.input ?? none, costB?.input ?? none)).toBe(costOfBoth?.input);
        expect(addMoney(costA?.output ?? none, costB?.output ?? none)).toBe(costOfBoth?.output);
      }),
    );
  });

  it('the order of the kinds and kinds of which nothing was used make no difference', () => {
    fc.assert(
      fc.property(someUnits, somePrice, (used, found) => {
        const other = new Map([...used].reverse());
        if (!other.has(unitKind('video'))) other.set(unitKind('video'), { input: 0n, output: 0n });
        expect(costOfUnits(other, found)).toEqual(costOfUnits(used, found));
      }),
    );
  });

  it('each unit is either priced or kept as unpriced', () => {
    fc.assert(
      fc.property(someUnits, somePrice, (used, found) => {
        const { unpriced } = costOfUnits(used, found);
        for (const [kind, { input, output }] of used) {
          const rate = found.price.rates.get(kind);
          const left = unpriced.find((entry) => entry.kind === kind) ?? { input: 0n, output: 0n };
          expect(left.input).toBe(rate?.input === undefined ? input : 0n);
          expect(left.output).toBe(rate?.output === undefined ? output : 0n);
        }
      }),
    );
  });
});

const none = amount('0');

function units(counts: Readonly<Record<string, readonly [input: number, output: number]>>): Units {
  return new Map(
    Object.entries(counts).map(([kind, [input, output]]): [UnitKind, UnitCount] => [
      unitKind(kind),
      { input: BigInt(input), output: BigInt(output) },
    ]),
  );
}

function sumOf(a: Units, b: Units): Units {
  const sum = new Map(a);
  for (const [kind, { input, output }] of b) {
    const other = sum.get(kind) ?? { input: 0n, output: 0n };
    sum.set(kind, { input: other.input + input, output: other.output + output });
  }
  return sum;
}

function shown({ input, output, total, unpriced }: CostOfUnits) {
  return { input: formatMoney(input), output: formatMoney(output), total: formatMoney(total), unpriced };
}

function amount(text: string): Money {
  const parsed = parseMoney(text);
  if (parsed === undefined) throw new RangeError(text);
  return parsed;
}

/** A price of the application's own for the model tiny of acme, if not said otherwise. */
function ownPrice(given: {
  readonly provider?: string;
  readonly model?: string;
  readonly text?: readonly [input: string, output: string];
  readonly effectiveTime?: Date;
  readonly createTime?: Date;
  readonly retired?: boolean;
}): Price {
  const [input, output] = given.text ?? ['0.001', '0.002'];
  const rate = { input: { base: amount(input), tiers: [] }, output: { base: amount(output), tiers: [] } };
  return {
    id: newUuid(),
    source: 'application',
    provider: given.provider ?? 'acme',
    model: given.model ?? 'tiny',
    matchers: [],
    rank: 0,
    effectiveTime: given.effectiveTime,
    rates: given.retired === true ? new Map() : new Map([[unitKind('text'), rate]]),
    retired: given.retired === true,
    createTime: given.createTime ?? new Date('2026-01-01T00:00:00Z'),
    sourceNote: '',
  };
}

function priceOf(provider: string, model: string): Price {
  const found = book.find(provider, model, NOW);
  if (!('price' in found)) throw new RangeError(`${provider} ${model}: ${found.reason}`);
  return found.price;
}

function isFlat({
  input,
  output,
}: {
  readonly input?: { readonly tiers: readonly unknown[] };
  readonly output?: { readonly tiers: readonly unknown[] };
}): boolean {
  return (input?.tiers.length ?? 0) === 0 && (output?.tiers.length ?? 0) === 0;
}

function regexesOf(matcher: ModelMatcher): readonly string[] {
  if ('regex' in matcher) return [matcher.regex];
  const parts = 'or' in matcher ? matcher.or : 'and' in matcher ? matcher.and : [];
  return parts.flatMap(regexesOf);
}
