import { type Command, Option } from 'commander';
import type { LimitType, NewLimitConfig } from '../client/index.js';
import { amount, part, tag, wholeNumber } from './argument-values.js';
import { CommandError } from './command-error.js';
import { firstItems, LIMIT_DEFAULT, LIMIT_MAX } from './first-items.js';
import { limitDetails, limitsTable } from './limits-table.js';
import type { Session } from './session.js';

interface ConfigOptions {
  readonly threshold?: string;
  readonly tag?: readonly string[];
}

interface CreateOptions extends ConfigOptions {
  readonly max: string;
  readonly type: Lowercase<LimitType>;
}

interface UpdateOptions extends ConfigOptions {
  readonly name?: string;
  readonly max?: string;
  /** false: all tags go. */
  readonly tags: boolean;
  readonly etag?: string;
}

interface ListOptions {
  readonly name?: string;
  readonly tag?: readonly string[];
  readonly owned?: true;
  readonly showDeleted?: true;
  readonly limit: number;
}

/** `experiences limits …`: maxima for what calls may cost together. */
export function addLimitsCommands(program: Command, session: Session): void {
  const limits = program
    .command('limits')
    .description('maxima for what calls may cost together')
    .addHelpText('after', HELP_AFTER);

  limits
    .command('create <name>')
    .description('create a limit, which calls name by its id')
    .requiredOption('--max <amount>', 'what may be spent, in USD', amount)
    .addOption(typeOption('--type <type>').default('allow'))
    .option('--threshold <part>', 'from which part of the maximum on it is exceeded; else 1', part)
    .option('--tag <tag>', 'may be repeated', tag)
    .action((name: string, options: CreateOptions) =>
      session.run(async ({ client, output }) => {
        const config = { maxCost: options.max, type: toLimitType(options.type), ...changeOf(options) };
        const created = await client.limits.create({ name, ...config });
        if (created.alreadyExisted) output.notice('It exists already, with the same content.');
        output.result(created, () => limitDetails(created.limit));
      }),
    );

  limits
    .command('list')
    .description('list limits, the newest first')
    .option('--name <name>', 'only the limit of exactly this name')
    .option('--tag <tag>', 'only limits with this tag; may be repeated', tag)
    .option('--owned', 'the own limits of experiences too')
    .option('--show-deleted', 'the deleted ones too')
    .option('--limit <n>', 'at most so many', wholeNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .action(({ name, tag: tags, owned, showDeleted, limit }: ListOptions) =>
      session.run(async ({ client, output }) => {
        const listed = client.limits.list({
          ...(name === undefined ? {} : { name }),
          ...(tags === undefined ? {} : { tags }),
          ...(owned === undefined ? {} : { showOwned: owned }),
          ...(showDeleted === undefined ? {} : { showDeleted }),
        });
        const found = await firstItems(listed, limit, output);
        output.result(found, () => limitsTable(found));
      }),
    );

  limits
    .command('show <id>')
    .description('show a limit, and what was charged to it before each reset')
    .option('--show-deleted', 'even if it is deleted')
    .action((id: string, options: { readonly showDeleted?: true }) =>
      session.run(async ({ client, output }) => {
        const found = await client.limits.get(id, options);
        output.result(found, () => limitDetails(found.limit, found.pastPeriods));
      }),
    );

  limits
    .command('update <id>')
    .description('change a limit; its type stays')
    .option('--name <name>', 'its name')
    .option('--max <amount>', 'what may be spent, in USD; not less than is spent', amount)
    .option('--threshold <part>', 'from which part of the maximum on it is exceeded', part)
    .option('--tag <tag>', 'takes the place of all tags; may be repeated', tag)
    .option('--no-tags', 'take all tags away')
    .option('--etag <etag>', 'only if the limit is as it was when it had this etag')
    .action(async (id: string, options: UpdateOptions) => {
      const { name, max, etag } = options;
      const change = {
        ...(name === undefined ? {} : { name }),
        ...(max === undefined ? {} : { maxCost: max }),
        ...(options.tags ? {} : { tags: [] }),
        ...changeOf(options),
      };
      if (Object.keys(change).length === 0) {
        const hint = 'Give --name, --max, --threshold, --tag or --no-tags.';
        throw new CommandError('BAD_USAGE', 'There is nothing to change.', { hint });
      }
      await session.run(async ({ client, output }) => {
        const limit = await client.limits.update(id, { ...change, ...(etag === undefined ? {} : { etag }) });
        output.result(limit, () => limitDetails(limit));
      });
    });

  limits
    .command('reset <id>')
    .description('begin a new period with nothing spent; the one before stays in the history')
    .option('--request-id <id>', 'the same id again does not reset again')
    .action((id: string, options: { readonly requestId?: string }) =>
      session.run(async ({ client, output }) => {
        const reset = await client.limits.reset(id, options);
        output.result(reset, () => limitDetails(reset.limit, [reset.endedPeriod]));
      }),
    );

  limits
    .command('delete <id>')
    .description('hide a limit: calls cannot name it any more; what was charged stays')
    .option('--etag <etag>', 'only if the limit is as it was when it had this etag')
    .action((id: string, options: { readonly etag?: string }) =>
      session.run(async ({ client, output }) => {
        const limit = await client.limits.delete(id, options);
        output.result(limit, () => limitDetails(limit));
      }),
    );
}

export function typeOption(flags: string): Option {
  return new Option(flags, 'allow counts on; block refuses reservations beyond it').choices(TYPES);
}

export function toLimitType(typed: Lowercase<LimitType>): LimitType {
  return typed === 'block' ? 'BLOCK' : 'ALLOW';
}

function changeOf({ threshold, tag: tags }: ConfigOptions): Partial<NewLimitConfig> {
  return {
    ...(threshold === undefined ? {} : { threshold }),
    ...(tags === undefined ? {} : { tags }),
  };
}

const TYPES: readonly Lowercase<LimitType>[] = ['allow', 'block'];
const HELP_AFTER = `
Examples:
  experiences limits create team-a --max 250 --type block --threshold 0.8 --tag team-a
  experiences limits list --tag team-a
  experiences limits update <id> --max 300
  experiences limits reset <id>`;
