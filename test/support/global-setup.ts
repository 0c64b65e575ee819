import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { startStack } from '../../services/stack/stack.js';

/** Builds what has changed, for the processes that tests start; starts one real MongoDB and one real Temporal for all test files; each file uses a database of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const prepare = join(PACKAGE_ROOT, 'services', 'stack', 'prepare.mjs');
  const { status } = spawnSync(process.execPath, [prepare, '--quiet'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the build failed');
  const stack = await startStack({
    environment: process.env,
    log: (line) => process.stderr.write(`${line}\n`),
    mongod: { testCommands: true, cacheSizeGb: 0.5 },
  });
  project.provide('mongodbUri', stack.mongodbUri);
  project.provide('temporalAddress', stack.temporalAddress);
  return () => stack.stop();
}

declare module 'vitest' {
  export interface ProvidedContext {
    mongodbUri: string;
    temporalAddress: string;
  }
}
