import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DOCUMENT_BYTES_MAX } from '../domain/run.js';
import { PACKAGE_ROOT } from '../runtime/package-root.js';

export interface DemoDocument {
  readonly name: string;
  readonly content: Buffer;
}

/** The three documents of the demo: three of this repository's own, or the given one three times. */
export async function demoDocuments(path: string | undefined): Promise<readonly DemoDocument[]> {
  if (path !== undefined) {
    const document = { name: basename(path), content: await readDocument(path) };
    return [document, document, document];
  }
  return Promise.all(
    OWN_DOCUMENTS.map(async (name) => ({ name, content: await readDocument(join(PACKAGE_ROOT, name)) })),
  );
}

/** Said here already, with the file's name; the service would refuse it too. */
async function readDocument(path: string): Promise<Buffer> {
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`the document ${path} cannot be read: ${error.code ?? error.message}`);
  });
  if (content.length > DOCUMENT_BYTES_MAX) {
    throw new Error(
      `the document ${path} has ${content.length} bytes; at most ${DOCUMENT_BYTES_MAX} can be summarised`,
    );
  }
  return content;
}

const OWN_DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'] as const;
