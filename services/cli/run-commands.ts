import type { Command } from 'commander';
import type { ExperienceRun, ExperiencesClient } from '../client/index.js';
import { newUuid } from '../domain/new-uuid.js';
import { DOCUMENT_BYTES_MAX } from '../domain/run.js';
import { runDocumentId } from '../domain/run-document-id.js';
import { amount, jsonObject } from './argument-values.js';
import { CommandError } from './command-error.js';
import { type DocumentFile, readDocument } from './document-file.js';
import {
  addNewExperienceOptions,
  type NewExperienceOptions,
  newExperience,
  replacedNotice,
} from './experience-commands.js';
import { limitDetails } from './limits-table.js';
import { endingText, runText } from './run-text.js';
import type { Session } from './session.js';
import { watchRun } from './watch-run.js';

interface StartOptions extends NewExperienceOptions {
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly documentId?: string;
  readonly budget?: string;
  readonly watch?: true;
}

/** `experiences start`, `run` and `cancel`: experiences that a workflow carries out. */
export function addRunCommands(program: Command, session: Session): void {
  const { stdin, onInterrupt } = session.surroundings;

  const start = program
    .command('start <type> [file]')
    .description(
      "start a run of the type's workflow on a text and print its id; the file '-' is standard input",
    )
    .option('--parameters <json>', 'a JSON object that is handed to the workflow', jsonObject)
    .option('--document-id <uuid>', 'a document that was uploaded before, in the place of a file')
    .option('--budget <amount>', 'the most that it may spend, in USD; then it waits for a higher one', amount)
    .option('--watch', 'follow it to its end, then print what it returned and what it cost');
  addNewExperienceOptions(start).action(
    async (type: string, file: string | undefined, options: StartOptions) => {
      const { parameters, documentId, budget } = options;
      if (file === undefined && parameters === undefined && documentId === undefined) {
        throw new CommandError('BAD_USAGE', 'A run needs a file to work on, --document-id, or --parameters.');
      }
      if (file !== undefined && documentId !== undefined)
        throw new CommandError('BAD_USAGE', 'A run takes a file or --document-id, not both.');
      const document = file === undefined ? undefined : await readDocument(file, stdin);
      await session.run(async ({ client, output }) => {
        const started = await client.runs.start({
          experienceType: type,
          ...newExperience(options),
          ...(document === undefined ? {} : await given(document, options.id, client)),
          ...(documentId === undefined ? {} : { documentId }),
          ...(budget === undefined ? {} : { budget }),
          ...(parameters === undefined ? {} : { parameters }),
        });
        const { experienceId } = started.run;
        if (started.alreadyExisted) output.notice('It was started before.');
        if (started.idReplaced) output.notice(replacedNotice(options.id ?? '', experienceId));
        if (options.watch !== true) {
          output.result(started, () => experienceId);
          return;
        }
        output.notice(`Started ${experienceId}.`);
        const run = await watchRun(experienceId, { client, output, onInterrupt });
        output.result({ ...started, run }, () => runText(run));
        assertCompleted(run);
      });
    },
  );

  program
    .command('run <id>')
    .description('show a run: its state, its cost, and what it ended with')
    .option('--watch', 'follow it to its end')
    .action((id: string, { watch }: { readonly watch?: true }) =>
      session.run(async ({ client, output }) => {
        const run =
          watch === true ? await watchRun(id, { client, output, onInterrupt }) : await client.runs.get(id);
        output.result(run, () => runText(run));
        if (watch === true) assertCompleted(run);
      }),
    );

  const budgets = program.command('budget').description('what a run may spend');
  budgets
    .command('raise <experience-id> <amount>')
    .description('raise what a run may spend, in USD; one that was paused for it goes on')
    .action((id: string, text: string) =>
      session.run(async ({ client, output }) => {
        const raised = await client.runs.raiseBudget(id, text);
        if (!raised.runTold) output.notice('No run of it goes on that could be told.');
        output.result(raised, () => limitDetails(raised.limit));
      }),
    );

  program
    .command('cancel <id>')
    .description('ask a run to stop; what it spent stays recorded')
    .option('--reason <text>', 'why, for people')
    .action((id: string, { reason }: { readonly reason?: string }) =>
      session.run(async ({ client, output }) => {
        const run = await client.runs.cancel(id, reason === undefined ? {} : { reason });
        if (run.state === 'RUNNING')
          output.notice(`It is asked to stop; \`experiences run ${id}\` shows when it has.`);
        output.result(run, () => runText(run));
      }),
    );
}

/** A file that is too large for the request itself is uploaded first, once for all repeats under the same id. */
async function given(
  document: DocumentFile,
  id: string | undefined,
  client: ExperiencesClient,
): Promise<{ document: DocumentFile } | { experienceId: string; documentId: string }> {
  const { content, name } = document;
  if (content.length <= DOCUMENT_BYTES_MAX) return { document };
  const experienceId = id ?? newUuid();
  const { documentId } = await client.documents.upload(content, {
    documentId: runDocumentId(experienceId),
    ...(name === undefined ? {} : { name }),
  });
  return { experienceId, documentId };
}

/** So that a script sees it by the exit code. */
function assertCompleted(run: ExperienceRun): void {
  if (run.state !== 'COMPLETED') throw new CommandError('RUN_NOT_COMPLETED', endingText(run));
}
