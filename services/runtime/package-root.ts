import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder of this package: files that the compiler does not copy (the contract, the catalogue) are found from it,
 * whether sources or the build run.
 */
export const PACKAGE_ROOT = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

function findPackageRoot(folder: string): string {
  const manifest = join(folder, 'package.json');
  if (existsSync(manifest)) {
    const content: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
    if (
      typeof content === 'object' &&
      content !== null &&
      'name' in content &&
      content.name === 'experiences'
    ) {
      return folder;
    }
  }
  const parent = dirname(folder);
  if (parent === folder) throw new Error('the package folder of experiences was not found');
  return findPackageRoot(parent);
}
