import type { Command } from 'commander';
import type { StoredDocument } from '../client/index.js';
import { days } from './argument-values.js';
import { readDocument } from './document-file.js';
import { factsText } from './facts-text.js';
import { countText, timeText } from './number-text.js';
import type { Session } from './session.js';

interface UploadOptions {
  readonly id?: string;
  readonly name?: string;
  readonly keep?: number;
}

/** `experiences documents …`: texts that are kept for runs. */
export function addDocumentCommands(program: Command, session: Session): void {
  const documents = program.command('documents').description('texts that are kept for runs');

  documents
    .command('upload <file>')
    .description("upload a text of at most 50 MiB and print its id; the file '-' is standard input")
    .option('--id <uuid>', 'your own id for it; a later upload of the same text under it goes on')
    .option('--name <text>', "for people; else the file's")
    .option('--keep <days>', 'for how long; else 30 days', days)
    .action(async (path: string, { id, name, keep }: UploadOptions) => {
      const file = await readDocument(path, session.surroundings.stdin);
      const shownName = name ?? file.name;
      await session.run(async ({ client, output }) => {
        const document = await client.documents.upload(file.content, {
          ...(shownName === undefined ? {} : { name: shownName }),
          ...(id === undefined ? {} : { documentId: id }),
          ...(keep === undefined ? {} : { retentionMs: keep * DAY_MS }),
        });
        output.result(document, () => document.documentId);
      });
    });

  documents
    .command('show <id>')
    .description('show what is known of a document')
    .action((id: string) =>
      session.run(async ({ client, output }) => {
        const document = await client.documents.get(id);
        output.result(document, () => documentFacts(document));
      }),
    );

  documents
    .command('delete <id>')
    .description('delete a document with its text, for good')
    .action((id: string) =>
      session.run(async ({ client, output }) => {
        const deleted = await client.documents.delete(id);
        output.result(deleted, () => (deleted.existed ? 'It is deleted.' : 'There was no such document.'));
      }),
    );
}

function documentFacts(document: StoredDocument): string {
  return factsText([
    ['Document', document.documentId],
    ['Name', document.name],
    ['Bytes', sizeText(document)],
    ['SHA-256', document.sha256],
    ['Created', timeText(document.createTime)],
    ['Kept until', timeText(document.expireTime)],
  ]);
}

function sizeText({ sizeBytes, committed }: StoredDocument): string {
  return committed ? countText(sizeBytes) : `${countText(sizeBytes)} so far; it is not complete`;
}

const DAY_MS = 86_400_000;
