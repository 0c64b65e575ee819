import type { TestProject } from 'vitest/node';
import { startStack } from '../../services/stack/stack.js';

/** Starts one real MongoDB and one real Temporal for all test files; each file uses a database of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
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
