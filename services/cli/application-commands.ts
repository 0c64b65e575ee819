import type { Command } from 'commander';
import { applicationFacts, applicationsTable } from './applications-table.js';
import { applicationId, wholeNumber } from './argument-values.js';
import { CommandError } from './command-error.js';
import { firstItems, LIMIT_DEFAULT, LIMIT_MAX } from './first-items.js';
import type { Session } from './session.js';

interface ChangeOptions {
  readonly description?: string;
  /** undefined: not given. */
  readonly strictIds?: boolean;
}

/** `experiences apps …`: tenants, each of which sees only what is its own. */
export function addApplicationCommands(program: Command, session: Session): void {
  const apps = program
    .command('apps')
    .description('applications: tenants, each of which sees only what is its own')
    .addHelpText('after', HELP_AFTER);

  apps
    .command('create')
    .argument('<id>', "1 to 32 lower-case letters, digits and '-'", applicationId)
    .description('create an application; needs the bootstrap key')
    .option('--description <text>', 'what it is')
    .option('--strict-ids', 'refuse an experience id that is no UUID instead of replacing it')
    .action((id: string, options: ChangeOptions) =>
      session.run(async ({ client, output }) => {
        const created = await client.admin.createApplication({ applicationId: id, ...options });
        if (created.alreadyExisted) output.notice('It exists already, with the same content.');
        else output.notice(`\`experiences --application ${id} keys create\` makes its first key.`);
        output.result(created, () => applicationFacts(created.application));
      }),
    );

  apps
    .command('list')
    .description('list applications: all with the bootstrap key, else the one of the key')
    .option('--limit <n>', 'at most so many', wholeNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .action(({ limit }: { readonly limit: number }) =>
      session.run(async ({ client, output }) => {
        const found = await firstItems(client.admin.listApplications(), limit, output);
        output.result(found, () => applicationsTable(found));
      }),
    );

  apps
    .command('update')
    .argument('<id>', 'the application', applicationId)
    .description('change an application')
    .option('--description <text>', "what it is; '' takes it away")
    .option('--strict-ids', 'refuse an experience id that is no UUID')
    .option('--no-strict-ids', 'replace an experience id that is no UUID')
    .action(async (id: string, options: ChangeOptions) => {
      if (Object.keys(options).length === 0) {
        const hint = 'Give --description, --strict-ids or --no-strict-ids.';
        throw new CommandError('BAD_USAGE', 'There is nothing to change.', { hint });
      }
      await session.run(async ({ client, output }) => {
        const application = await client.admin.updateApplication(id, options);
        output.result(application, () => applicationFacts(application));
      });
    });
}

const HELP_AFTER = `
Examples, with the bootstrap key in EXPERIENCES_API_KEY:
  experiences apps create team-a --description 'Team A'
  experiences --application team-a keys create --scopes read,record`;
