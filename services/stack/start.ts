/** Entry point of `npm start`: everything in the foreground for development, with data kept between starts. */
import { join, relative, resolve } from 'node:path';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import { type ExperiencesStack, startExperiencesStack } from './experiences-stack.js';
import { createReferenceTypes } from './reference-types.js';
import { runUntilSignal, whenAborted } from './run-until-signal.js';

const LISTEN_DEFAULT = '127.0.0.1:50051';
const { EXPERIENCES_DATA, EXPERIENCES_LISTEN } = process.env;
const dataFolder = resolve(EXPERIENCES_DATA || join(PACKAGE_ROOT, '.experiences', 'data'));

await runUntilSignal(async (signal) => {
  const stack = await startExperiencesStack({
    environment: process.env,
    log: (line) => console.log(line),
    dataFolder,
    listen: EXPERIENCES_LISTEN || LISTEN_DEFAULT,
    onLogLine: showProblem,
    signal,
  });
  try {
    await Promise.race([serve(stack), whenAborted(signal)]);
    return 0;
  } catch (error) {
    // Ctrl-C is how it is meant to end.
    if (signal.aborted) return 0;
    throw error;
  } finally {
    await stack.stop();
    console.log('stopped');
  }
});

/** Says what to do with it, and rejects with the last words of a process that ends by itself. */
async function serve({ serviceAddress, service, worker }: ExperiencesStack): Promise<void> {
  await createReferenceTypes(serviceAddress);
  console.log(`
Experiences is running; Ctrl-C stops it. Data is kept in ${relative('', dataFolder) || dataFolder}.

  npx experiences types create My_Feature --description "What it does"
  npx experiences start Document_Summarization README.md --watch
  npx buf curl --reflect --protocol grpc --http2-prior-knowledge --list-services http://${serviceAddress}
`);
  const endings = [service, worker].map(async ({ name, exited, lines }) => {
    await exited;
    throw new Error(`the ${name} ended:\n${lines().slice(-5).join('\n')}`);
  });
  await Promise.race(endings);
}

/** Warnings and worse of our own processes, as they log them: JSON. */
function showProblem(line: string): void {
  if (/"level":(?:40|50|60)\b/.test(line) || !line.startsWith('{')) console.error(line);
}
