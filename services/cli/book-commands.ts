import { type Command, Option } from 'commander';
import type { BookCheckMessage, BookDifference, BookSummary } from '../client/index.js';
import { time } from './argument-values.js';
import { bookProgressText, differencesTable, summaryText } from './book-text.js';
import { CommandError } from './command-error.js';
import { countOf } from './number-text.js';
import type { Output } from './output.js';
import type { Session } from './session.js';

interface VerifyOptions {
  readonly type?: string;
  readonly since?: Date;
  readonly deep?: true;
}

/** `experiences verify` and `repair`: whether the books are what the recorded calls add up to. */
export function addBookCommands(program: Command, session: Session): void {
  const everyMs = session.surroundings.stderr.isTTY === true ? 0 : LINE_INTERVAL_MS;

  program
    .command('verify')
    .description('prove that totals, rollups, histograms and limits are what the recorded calls add up to')
    .option('--type <name>', 'only experiences, rollups and histograms of this type')
    .option('--since <time>', 'only experiences created and days from then on; histograms whole', time)
    .option('--deep', 'each call too: its cost by its price, what is useful, and its reservation')
    .action(({ type, since, deep }: VerifyOptions) =>
      session.run(async ({ client, output }) => {
        const messages = client.admin.verify({
          ...(type === undefined ? {} : { experienceType: type }),
          ...(since === undefined ? {} : { sinceTime: since }),
          ...(deep === true ? { deep } : {}),
        });
        const { differences, summary } = await follow(messages, output, everyMs);
        output.result({ differences, summary }, () => resultText(differences, summary));
        if (summary.differenceCount === 0n) return;
        throw new CommandError('BOOKS_DIFFER', `The books differ in ${figures(summary.differenceCount)}.`, {
          hint: '`experiences repair --dry-run` shows what can be mended.',
        });
      }),
    );

  program
    .command('repair')
    .description('make totals, rollups, histograms and limits what the recorded calls add up to')
    .addOption(new Option('--dry-run', 'show what it would mend; writes nothing').conflicts('apply'))
    .option('--apply', 'mend it; recording goes on meanwhile')
    .action(async ({ apply, dryRun }: { readonly apply?: true; readonly dryRun?: true }) => {
      if (apply !== true && dryRun !== true) {
        throw new CommandError('BAD_USAGE', 'A repair needs --dry-run or --apply.');
      }
      await session.run(async ({ client, output }) => {
        const messages = client.admin.repair({ apply: apply === true });
        const { differences, summary } = await follow(messages, output, everyMs);
        output.result({ differences, summary }, () => resultText(differences, summary));
        const left = summary.differenceCount - summary.repairedCount;
        if (left === 0n) return;
        throw new CommandError('BOOKS_DIFFER', `The books differ in ${figures(left)}.`, {
          hint: hintAfterRepair(apply === true, left, summary.notRepairableCount),
        });
      });
    });
}

function hintAfterRepair(applied: boolean, left: bigint, notRepairable: bigint): string {
  if (left === notRepairable) return 'The recorded calls do not tell what is right: no repair can mend it.';
  return applied
    ? 'They moved while they were mended: the same command again mends the rest.'
    : '`experiences repair --apply` mends what can be mended.';
}

/** Shows how far it is, at most so often, and keeps what was found. */
async function follow(
  messages: AsyncIterable<BookCheckMessage>,
  output: Output,
  everyMs: number,
): Promise<{ readonly differences: readonly BookDifference[]; readonly summary: BookSummary }> {
  const differences: BookDifference[] = [];
  let shownAt = performance.now();
  for await (const message of messages) {
    if ('summary' in message) return { differences, summary: message.summary };
    if ('difference' in message) differences.push(message.difference);
    else if (performance.now() - shownAt >= everyMs) {
      output.status(bookProgressText(message.progress));
      shownAt = performance.now();
    }
  }
  throw new Error('a check of the books ended without its summary');
}

function resultText(differences: readonly BookDifference[], summary: BookSummary): string {
  const table = differences.length === 0 ? [] : [differencesTable(differences), ''];
  return [...table, ...summaryText(summary, differences.length)].join('\n');
}

function figures(count: bigint): string {
  return countOf(count, 'figure');
}

/** Where progress is not drawn in place, a line so often says that it goes on. */
const LINE_INTERVAL_MS = 10_000;
