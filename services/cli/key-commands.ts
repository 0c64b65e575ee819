import { type Command, Option } from 'commander';
import type { Scope } from '../client/index.js';
import { keyFacts, keysTable } from './applications-table.js';
import { scopes } from './argument-values.js';
import type { Session } from './session.js';

interface CreateOptions {
  readonly scopes: readonly Scope[];
  readonly description?: string;
  readonly requestId?: string;
}

/** `experiences keys …`: what callers of the service show. */
export function addKeyCommands(program: Command, session: Session): void {
  const keys = program
    .command('keys')
    .description('keys, which callers show to the service')
    .addHelpText('after', HELP_AFTER);

  keys
    .command('create')
    .description('make a key and print it, this once')
    .addOption(
      new Option('--scopes <list>', 'read, record, admin; admin implies all')
        .argParser(scopes)
        .default(['READ', 'RECORD'], 'read,record'),
    )
    .option('--description <text>', 'who has it')
    .option('--request-id <id>', 'the same again within ten minutes: the same key, with a new secret')
    .action((options: CreateOptions) =>
      session.run(async ({ client, output }) => {
        const { key, keyText } = await client.admin.createKey(options);
        output.result({ key, keyText }, () => `${keyFacts(key)}\n\n${keyText}`);
        output.notice(
          'The key is shown this once: keep it where its callers read EXPERIENCES_API_KEY; to the HTTP gateway they send it as xProxy-api-key.',
        );
        // Made without a key: it is the first, and from now on whoever shows none is refused.
        if ((session.surroundings.environment.EXPERIENCES_API_KEY ?? '') === '')
          output.notice(
            'From now on calls without a key are refused: start the gateway and the worker again with EXPERIENCES_API_KEY.',
          );
      }),
    );

  keys
    .command('list')
    .description('list the keys of the application, the newest first, without their secrets')
    .action(() =>
      session.run(async ({ client, output }) => {
        const found = await client.admin.listKeys();
        output.result(found, () => keysTable(found));
      }),
    );

  keys
    .command('revoke <id>')
    .description('end a key for good: everywhere within two seconds')
    .action((id: string) =>
      session.run(async ({ client, output }) => {
        const key = await client.admin.revokeKey(id);
        output.result(key, () => keyFacts(key));
      }),
    );
}

const HELP_AFTER = `
Two keys of the same scopes may be live: make the new one, hand it out, revoke the old one.
From the first key on the service asks every caller for one; the first must have the scope admin.

Examples:
  experiences keys create --scopes admin --description 'operator'
  experiences keys create --scopes record --description 'checkout service'
  experiences keys revoke <key id>`;
