import { join, resolve } from 'node:path';
import { readDocument } from '../cli/document-file.js';
import { visibleLine } from '../cli/visible-text.js';
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
  const problem = textProblem(content);
  if (problem !== undefined) throw new Error(`'${path === '-' ? name : path}' ${problem}.`);
  return { title: visibleLine(name, TITLE_LENGTH_MAX), name, content };
}

function textProblem(content: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(content);
    if (text.includes('\u0000')) return NO_TEXT;
    return text.trim() === '' ? 'is empty' : undefined;
  } catch {
    return NO_TEXT; // The decoder's way to say that it is no UTF-8.
  }
}

const OWN_DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'] as const;
const TITLE_LENGTH_MAX = 40;
const NO_TEXT = 'is not UTF-8 text';
