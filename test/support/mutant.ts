import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';

/** A copy of the sources in which one text is another. */
export interface Mutant {
  /** The folder that holds `services`. */
  readonly root: string;
  remove(): Promise<void>;
}

export interface Mutation {
  /** A file of `services`. */
  readonly path: string;
  readonly from: string;
  readonly to: string;
}

/** Throws unless the text is there, once: else the mutant would be the original. No mutation: a faithful copy. */
export async function makeMutant(mutation?: Mutation): Promise<Mutant> {
  const folder = join(PACKAGE_ROOT, '.experiences', 'mutants');
  await mkdir(folder, { recursive: true });
  const root = await mkdtemp(join(folder, 'mutant-'));
  const remove = () => rm(root, { recursive: true, force: true });
  try {
    await cp(join(PACKAGE_ROOT, 'services'), join(root, 'services'), { recursive: true });
    if (mutation !== undefined) await mutate(join(root, 'services', mutation.path), mutation);
  } catch (error) {
    await remove();
    throw error;
  }
  return { root, remove };
}

async function mutate(path: string, { from, to }: Mutation): Promise<void> {
  const [before, after, ...more] = (await readFile(path, 'utf8')).split(from);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`${path} does not hold once: ${from}`);
  await writeFile(path, `${before}${to}${after}`);
}
