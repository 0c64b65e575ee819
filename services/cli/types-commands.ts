import type { Command } from 'commander';
import type { ExperienceType, ExperienceTypeVersion, LimitType } from '../client/index.js';
import { amount, part } from './argument-values.js';
import { CommandError } from './command-error.js';
import { toLimitType, typeOption } from './limits-commands.js';
import type { Session } from './session.js';
import { typeFacts, typesTable, versionsTable } from './types-table.js';

interface TypeOptions {
  readonly workflow?: string;
  readonly taskQueue?: string;
  /** Amount; false: none any more; true: not given, where there is an option to take it away. */
  readonly limit?: string | boolean;
  readonly limitType?: Lowercase<LimitType>;
  readonly threshold?: string;
}

interface SeenOptions {
  readonly etag?: string;
}

interface DeletedOptions {
  readonly showDeleted?: true;
}

/** `experiences types …`: the features whose uses are measured. */
export function addTypesCommands(program: Command, session: Session): void {
  const types = program.command('types').description('the features whose uses are measured');

  types
    .command('create <name>')
    .description('create an experience type at version 1')
    .requiredOption('--description <text>', 'what the feature is')
    .option('--workflow <type>', 'the Temporal workflow that runs it; without one it is recorded only')
    .option('--task-queue <name>', "that workflow's task queue; else the service's default")
    .option(
      '--limit <amount>',
      'each new experience gets a limit of its own: what it may cost, in USD',
      amount,
    )
    .addOption(typeOption('--limit-type <type>'))
    .option('--threshold <part>', 'from which part of that limit on it is exceeded; else 1', part)
    .action((name: string, options: TypeOptions & { readonly description: string }) =>
      session.run(async ({ client, output }) => {
        const created = await client.types.create({
          name,
          ...changeOf(options),
          ...limitOf(options),
          description: options.description,
        });
        if (created.alreadyExisted) output.notice('It exists already, with the same content.');
        output.result(created, () => typeFacts(created.type));
      }),
    );

  types
    .command('list')
    .description('list the experience types')
    .option('--show-deleted', 'the deleted ones too')
    .action((options: DeletedOptions) =>
      session.run(async ({ client, output }) => {
        // An application has a bounded number of types: all of them are one list.
        const listed: ExperienceType[] = [];
        for await (const type of client.types.list(options)) listed.push(type);
        output.result(listed, () => typesTable(listed));
      }),
    );

  types
    .command('get <name>')
    .description('show an experience type')
    .option('--show-deleted', 'even if it is deleted')
    .action((name: string, options: DeletedOptions) =>
      session.run(async ({ client, output }) => {
        const type = await client.types.get(name, options);
        output.result(type, () => typeFacts(type));
      }),
    );

  types
    .command('update <name>')
    .description('change an experience type; its version stays')
    .option('--description <text>', 'what the feature is')
    .option('--workflow <type>', "the Temporal workflow that runs it; '' takes it away")
    .option('--task-queue <name>', "that workflow's task queue; '' for the service's default")
    .option('--limit <amount>', 'the own limit of new experiences, in USD; in place of what there is', amount)
    .addOption(typeOption('--limit-type <type>'))
    .option('--threshold <part>', 'from which part of that limit on it is exceeded; else 1', part)
    .option('--no-limit', 'new experiences get no limit of their own')
    .option('--etag <etag>', 'only if the type is as it was when it had this etag')
    .action(async (name: string, options: TypeOptions & SeenOptions & { readonly description?: string }) => {
      const noLimit = options.limit === false ? { limitConfig: null } : {};
      const change = { ...changeOf(options), ...limitOf(options), ...noLimit };
      if (Object.keys(change).length === 0) {
        const hint = 'Give --description, --workflow, --task-queue, --limit or --no-limit.';
        throw new CommandError('BAD_USAGE', 'There is nothing to change.', { hint });
      }
      await session.run(async ({ client, output }) => {
        const type = await client.types.update(name, { ...change, ...seenOf(options) });
        output.result(type, () => typeFacts(type));
      });
    });

  types
    .command('bump <name>')
    .description('raise the version by one; new experiences get it')
    .option('--etag <etag>', 'only if the type is as it was when it had this etag')
    .option('--request-id <id>', 'the same id again does not raise again')
    .action((name: string, options: SeenOptions & { readonly requestId?: string }) =>
      session.run(async ({ client, output }) => {
        const { requestId } = options;
        const raised = await client.types.incrementVersion(name, {
          ...seenOf(options),
          ...(requestId === undefined ? {} : { requestId }),
        });
        output.result(raised, () => typeFacts(raised.type));
      }),
    );

  types
    .command('delete <name>')
    .description('hide a type: nothing more is recorded or started under it; its costs stay')
    .option('--etag <etag>', 'only if the type is as it was when it had this etag')
    .action((name: string, options: SeenOptions) =>
      session.run(async ({ client, output }) => {
        const type = await client.types.delete(name, seenOf(options));
        output.result(type, () => typeFacts(type));
      }),
    );

  types
    .command('undelete <name>')
    .description('bring a deleted type back, with everything it had')
    .action((name: string) =>
      session.run(async ({ client, output }) => {
        const type = await client.types.undelete(name);
        output.result(type, () => typeFacts(type));
      }),
    );

  types
    .command('versions <name>')
    .description('list the versions of a type, newest first')
    .action((name: string) =>
      session.run(async ({ client, output }) => {
        const versions: ExperienceTypeVersion[] = [];
        for await (const version of client.types.versions(name)) versions.push(version);
        output.result(versions, () => versionsTable(versions));
      }),
    );
}

/** An empty text is a value: it takes away what was there. */
function changeOf(options: TypeOptions & { readonly description?: string }) {
  const { description, workflow, taskQueue } = options;
  return {
    ...(description === undefined ? {} : { description }),
    ...(workflow === undefined ? {} : { workflowType: workflow }),
    ...(taskQueue === undefined ? {} : { taskQueue }),
  };
}

function limitOf({ limit, limitType, threshold }: TypeOptions) {
  if (typeof limit !== 'string') {
    if (limitType === undefined && threshold === undefined) return {};
    throw new CommandError('BAD_USAGE', '--limit-type and --threshold are of the limit that --limit gives.');
  }
  return {
    limitConfig: {
      maxCost: limit,
      ...(limitType === undefined ? {} : { type: toLimitType(limitType) }),
      ...(threshold === undefined ? {} : { threshold }),
    },
  };
}

function seenOf({ etag }: SeenOptions) {
  return etag === undefined ? {} : { etag };
}
