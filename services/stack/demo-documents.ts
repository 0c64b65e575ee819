import { join, resolve } from 'node:path';
import { readDocument } from '../cli/document-file.js';
import { visibleLine } from '../cli/visible-text.js';
import { documentText } from '../domain/run.js';
import { PACKAGE_ROOT } from '../runtime/package-root.js';

export interface DemoDocument {
  /** Short, on one line of a terminal. */
  readonly title: string;
  readonly name: string;
  readonly content: Uint8Array;
}

/**
 * The three documents of the demo: three of this repository's own, or the given one three times. What the service would
 * refuse is refused here already, by the file's name and before anything is started.
 */
export async function demoDocuments(
  path: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<readonly DemoDocument[]> {
  if (path === undefined) {
    return Promise.all(OWN_DOCUMENTS.map((name) => readText(join(PACKAGE_ROOT, name))));
  }
  // npm runs its scripts in the package's folder and leaves the person's own in this variable.
  const document = await readText(path === '-' ? path : resolve(environment.INIT_CWD ?? '', path));
  return [document, document, document];
}

async function readText(path: string): Promise<DemoDocument> {
  const { name = 'standard input', content } = await readDocument(path, process.stdin);
  const read = documentText(content);
  if ('problem' in read) throw new Error(`'${path === '-' ? name : path}' ${read.problem}.`);
  return { title: visibleLine(name, TITLE_LENGTH_MAX), name, content };
}

const OWN_DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'] as const;
const TITLE_LENGTH_MAX = 40;
