import { type Command, Option } from 'commander';
import type { Price, UnitsInput } from '../client/index.js';
import { rate, ratesPerUnit, type TypedRates, time, units, wholeNumber } from './argument-values.js';
import { callCostText } from './call-cost-text.js';
import { factsText } from './facts-text.js';
import { firstItems, LIMIT_DEFAULT, LIMIT_MAX } from './first-items.js';
import { moneyText } from './money-text.js';
import { priceDetails, priceTable } from './price-table.js';
import type { Session } from './session.js';

interface ListOptions {
  readonly source?: keyof typeof SOURCES;
  readonly limit: number;
}

interface CreateOptions {
  readonly rate: TypedRates;
  readonly perMillion?: true;
  readonly from?: Date;
}

/** `experiences prices …`: what models cost, and what a call would cost. */
export function addPriceCommands(program: Command, session: Session): void {
  const prices = program
    .command('prices')
    .description('what models cost; your own prices come before the catalogue')
    .addHelpText('after', HELP_AFTER);

  prices
    .command('list [provider] [model]', { isDefault: true })
    .description('list prices; the word may be left out')
    .addOption(new Option('--source <source>', 'only from there').choices(Object.keys(SOURCES)))
    .option('--limit <n>', 'at most so many', wholeNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .action((provider: string | undefined, model: string | undefined, { source, limit }: ListOptions) =>
      session.run(async ({ client, output }) => {
        const listed = client.prices.list({
          ...(provider === undefined ? {} : { provider }),
          ...(model === undefined ? {} : { model }),
          ...(source === undefined ? {} : { source: SOURCES[source] }),
        });
        const found = await firstItems(listed, limit, output);
        output.result(found, () => priceTable(found));
      }),
    );

  prices
    .command('get <id>')
    .description('show one price with all it says')
    .action((id: string) =>
      session.run(async ({ client, output }) => {
        const price = await client.prices.get(id);
        output.result(price, () => priceDetails(price));
      }),
    );

  prices
    .command('estimate <provider> <model>')
    .description('what units would cost; records nothing')
    .argument('<kind=in/out...>', 'what would be used, such as text=1000/500', units)
    .option('--at <time>', 'at the prices of that time; else now', time)
    .action((provider: string, model: string, used: UnitsInput, { at }: { readonly at?: Date }) =>
      session.run(async ({ client, output }) => {
        const call = { provider, model, units: used };
        const estimate = await client.costs.estimate({
          ...call,
          ...(at === undefined ? {} : { eventTime: at }),
        });
        output.result(estimate, () =>
          factsText([
            ['Cost', callCostText(call, estimate)],
            ['Price', estimate.priceId],
          ]),
        );
      }),
    );

  prices
    .command('create <provider> <model>')
    .description('append a price of your own; calls that are recorded already keep theirs')
    .requiredOption(
      '--rate <kind=in/out>',
      'per unit, such as text=0.00000015/0.0000006; may be repeated',
      rate,
    )
    .option('--per-million', 'the rates are for a million units, as providers list them: text=0.15/0.60')
    .option('--from <time>', 'from when on it applies; else from now on', time)
    .action((provider: string, model: string, options: CreateOptions) =>
      session.run(async ({ client, output }) => {
        const price = await client.prices.create({
          provider,
          model,
          rates: ratesPerUnit(options.rate, options.perMillion === true),
          ...(options.from === undefined ? {} : { effectiveTime: options.from }),
        });
        output.result(price, () => priceDetails(price));
      }),
    );

  prices
    .command('retire <id>')
    .description('end a price of your own: the catalogue applies again')
    .option('--at <time>', 'from when on; else from now on', time)
    .action((id: string, { at }: { readonly at?: Date }) =>
      session.run(async ({ client, output }) => {
        const price = await client.prices.retire(id, at === undefined ? {} : { retireTime: at });
        output.result(price, () => priceDetails(price));
      }),
    );

  prices
    .command('reprice [provider] [model]')
    .description('price recorded events that had no price, now that there is one for their time')
    .option('--since <time>', 'only events from then on', time)
    .option('--until <time>', 'only events before then', time)
    .option('--id <uuid>', 'go on with the repricing of that id')
    .action((provider: string | undefined, model: string | undefined, options: RepriceOptions) =>
      session.run(async ({ client, output }) => {
        const result = await client.prices.repriceUnpriced({
          ...(provider === undefined ? {} : { provider }),
          ...(model === undefined ? {} : { model }),
          ...(options.since === undefined ? {} : { startTime: options.since }),
          ...(options.until === undefined ? {} : { endTime: options.until }),
          ...(options.id === undefined ? {} : { repricingId: options.id }),
        });
        output.result(result, () =>
          factsText([
            ['Events priced', String(result.repricedEventCount)],
            ['Added cost', moneyText(result.addedCost.total)],
            ['Still without', String(result.unpricedEventCount)],
            ['Repricing', result.repricingId],
          ]),
        );
      }),
    );
}

interface RepriceOptions {
  readonly since?: Date;
  readonly until?: Date;
  readonly id?: string;
}

const SOURCES = { own: 'APPLICATION', catalogue: 'CATALOGUE' } as const satisfies Record<
  string,
  Price['source']
>;
const HELP_AFTER = `
Examples:
  experiences prices openai gpt-4o-mini
  experiences prices estimate openai gpt-4o-mini text=1000/500
  experiences prices create acme large --rate text=2.50/10 --per-million`;
