import { formatMoney, type Money, NO_MONEY } from '../domain/money.js';
import { type Units, unitKind } from '../domain/units.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import type { Price } from '../pricing/price.js';
import type { FoundPrice } from '../pricing/price-book.js';
import type { EventFinding } from './check-experiences.js';
import { isEstimatedCost } from './check-reservations.js';
import type { CheckedEvent, EventProblem } from './checked-event.js';
import type { EventDocument } from './documents.js';
import { amountOf } from './figures.js';
import { fromPriceDocument } from './price-document.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

type Binary = NonNullable<EventDocument['pr']>;

/**
 * Whether events cost what their units cost at the price that they keep, and what their repricings say that they added.
 * Which price was in force is not asked: history does not move.
 */
export class CostCheck {
  readonly #store: Store;
  readonly #application: string;
  readonly #prices = new Map<string, Price>();

  constructor(store: Store, application: string) {
    this.#store = store;
    this.#application = application;
  }

  async problemsOf(events: readonly CheckedEvent[], snapshot: Snapshot): Promise<EventFinding[]> {
    await this.#load(events, snapshot);
    return events.flatMap((event) => {
      if (event.problems.length > 0) return []; // It is named already, and nothing can be said of its cost.
      if (isEstimatedCost(event.document)) return []; // Its reservation says what it costs.
      const problems = this.#problems(event);
      return problems.length === 0 ? [] : [{ event, problems }];
    });
  }

  #problems({ document, units: counts, input, output }: CheckedEvent): EventProblem[] {
    const units: Units = new Map(counts.map(([kind, i, o]) => [unitKind(kind), { input: i, output: o }]));
    const repricings = document.hp ?? [];
    // An event that was recorded without any price keeps the first one that it got.
    const wasPriced = document.pr !== undefined && !isSamePrice(document.pr, repricings[0]?.p);
    const steps = [wasPriced ? document.pr : undefined, ...repricings.map(({ p }) => p)];
    const problems: EventProblem[] = [];
    let left = units;
    let cost: { readonly input: bigint; readonly output: bigint } = { input: NO_MONEY, output: NO_MONEY };
    for (const [index, priceId] of steps.entries()) {
      const price = priceId === undefined ? undefined : this.#prices.get(keyOf(priceId));
      if (priceId !== undefined && price === undefined) {
        return [{ figure: 'price_id', expected: '', found: keyOf(priceId) }];
      }
      const found: FoundPrice = price === undefined ? { reason: 'MODEL_UNKNOWN' } : { price };
      const step = costOfUnits(left, found, units);
      left = new Map(step.unpriced.map(({ kind, input: i, output: o }) => [kind, { input: i, output: o }]));
      cost = { input: cost.input + step.input, output: cost.output + step.output };
      const noted = index === 0 ? undefined : repricings[index - 1];
      if (noted === undefined) continue;
      problems.push(
        ...amountProblem(`repricings[${index - 1}].cost.input`, step.input, amountOf(noted.ci)),
        ...amountProblem(`repricings[${index - 1}].cost.output`, step.output, amountOf(noted.co)),
      );
    }
    problems.push(
      ...amountProblem('cost.input', cost.input, input),
      ...amountProblem('cost.output', cost.output, output),
    );
    const [wanted, found] = [unitsText(left), unpricedText(document.up)];
    if (wanted !== found) problems.push({ figure: 'unpriced_units', expected: wanted, found });
    return problems;
  }

  /** Prices are never edited, so those that are known stay known. */
  async #load(events: readonly CheckedEvent[], snapshot: Snapshot): Promise<void> {
    if (this.#prices.size > PRICES_MAX) this.#prices.clear();
    const missing = new Map<string, Binary>();
    for (const { document } of events) {
      for (const id of [document.pr, ...(document.hp ?? []).map(({ p }) => p)]) {
        if (id !== undefined && !this.#prices.has(keyOf(id))) missing.set(keyOf(id), id);
      }
    }
    if (missing.size === 0) return;
    const keys = [...missing.values()].flatMap((p) => ['', this.#application].map((a) => ({ a, p })));
    for await (const document of this.#store.prices.find({ _id: { $in: keys } }, snapshot)) {
      this.#prices.set(keyOf(document._id.p), fromPriceDocument(document));
    }
  }
}

function amountProblem(figure: string, expected: bigint, found: bigint | undefined): EventProblem[] {
  if (expected === found) return [];
  const shown = found === undefined ? 'unreadable' : formatMoney(found as Money); // Only to be shown.
  return [{ figure, expected: formatMoney(expected as Money), found: shown }]; // As above.
}

/** `audio 10/0, text 0/500`: of each kind in and out. */
function unitsText(units: Units): string {
  const texts = [...units].map(([kind, { input, output }]) => `${kind} ${input}/${output}`);
  return texts.sort().join(', ');
}

function unpricedText(up: EventDocument['up']): string {
  if (up === undefined) return '';
  if (!Array.isArray(up)) return 'unreadable';
  return up
    .map(({ k, i, o }) => `${k} ${i}/${o}`)
    .sort()
    .join(', ');
}

function isSamePrice(a: Binary, b: Binary | undefined): boolean {
  return b !== undefined && keyOf(a) === keyOf(b);
}

function keyOf(id: Binary): string {
  return id.toString('hex');
}

const PRICES_MAX = 10_000;
