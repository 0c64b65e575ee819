import type { Command } from 'commander';
import { property, wholeNumber } from './argument-values.js';
import { costSummary } from './cost-summary.js';
import { experienceTable } from './experience-table.js';
import { firstItems, LIMIT_DEFAULT, LIMIT_MAX } from './first-items.js';
import type { Session } from './session.js';

/** What a new experience is made with, by `create` and by `start`. */
export interface NewExperienceOptions {
  readonly id?: string;
  readonly version?: number;
  readonly user?: string;
  readonly property?: Readonly<Record<string, string>>;
}

interface DeletedOptions {
  readonly showDeleted?: true;
}

interface ListOptions extends DeletedOptions {
  readonly version?: number;
  readonly limit: number;
}

/** `experiences create`, `list` and `cost`: the single uses of a feature and what they cost. */
export function addExperienceCommands(program: Command, session: Session): void {
  const create = program
    .command('create <type>')
    .description('create an experience and print its id; its calls are recorded to it later');
  addNewExperienceOptions(create).action((type: string, options: NewExperienceOptions) =>
    session.run(async ({ client, output }) => {
      const created = await client.experiences.create({ experienceType: type, ...newExperience(options) });
      const { experienceId } = created.experience;
      if (created.alreadyExisted) output.notice('It exists already.');
      if (created.idReplaced) output.notice(replacedNotice(options.id ?? '', experienceId));
      output.result(created, () => experienceId);
    }),
  );

  program
    .command('list [type]')
    .description('list experiences with what they cost so far, newest first')
    .option('--version <n>', 'only of this version of the type', wholeNumber(VERSION_MAX))
    .option('--limit <n>', 'at most so many', wholeNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .option('--show-deleted', 'the deleted ones too')
    .action((type: string | undefined, { version, limit, ...deleted }: ListOptions) =>
      session.run(async ({ client, output }) => {
        const listed = client.experiences.list({
          ...(type === undefined ? {} : { experienceType: type }),
          ...(version === undefined ? {} : { experienceVersion: version }),
          ...deleted,
        });
        const experiences = await firstItems(listed, limit, output);
        output.result(experiences, () => experienceTable(experiences));
      }),
    );

  program
    .command('cost <id>')
    .description('show what one experience has cost so far')
    .option('--show-deleted', 'even if it is deleted')
    .action((id: string, options: DeletedOptions) =>
      session.run(async ({ client, output }) => {
        const cost = await client.costs.get(id, options);
        output.result(cost, () => costSummary(cost));
      }),
    );
}

export function addNewExperienceOptions(command: Command): Command {
  return command
    .option('--id <uuid>', 'an id of your own: the same command again answers the same experience')
    .option('--version <n>', 'version of the type; else the current one', wholeNumber(VERSION_MAX))
    .option('--user <id>', 'whom it is for')
    .option('--property <key=value>', 'a label of your own; may be repeated', property);
}

export function newExperience({ id, version, user, property: properties }: NewExperienceOptions) {
  return {
    ...(id === undefined ? {} : { experienceId: id }),
    ...(version === undefined ? {} : { experienceVersion: version }),
    ...(user === undefined ? {} : { userId: user }),
    ...(properties === undefined ? {} : { properties }),
  };
}

export function replacedNotice(given: string, experienceId: string): string {
  return `'${given}' is not a UUID; ${experienceId} was made instead.`;
}

export const VERSION_MAX = 999_999_999;
