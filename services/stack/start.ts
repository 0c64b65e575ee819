/** Entry point of `npm start`: everything in the foreground for development, with data kept between starts. */
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import { startExperiencesStack } from './experiences-stack.js';
import { createReferenceTypes } from './reference-types.js';
import { runUntilSignal, whenAborted } from './run-until-signal.js';

const DATA_FOLDER = join(PACKAGE_ROOT, '.experiences', 'data');
const LISTEN_DEFAULT = '127.0.0.1:50051';

await runUntilSignal(async (signal) => {
  const starting = startExperiencesStack({
    environment: process.env,
    log: (line) => console.log(line),
    dataFolder: DATA_FOLDER,
    listen: process.env.EXPERIENCES_LISTEN ?? LISTEN_DEFAULT,
    onLogLine: showProblem,
  });
  const stack = await Promise.race([starting, whenAborted(signal)]);
  await createReferenceTypes(stack.serviceAddress);
  console.log(`
Experiences is running; Ctrl-C stops it. Data is kept in .experiences/data.

  npx experiences types create My_Feature --description "What it does"
  npx experiences start Document_Summarization README.md --watch
  npx buf curl --reflect --protocol grpc --http2-prior-knowledge --list-services http://${stack.serviceAddress}
`);
  try {
    const ended = [stack.service, stack.worker].map(async ({ name, exited, lines }) => {
      await exited;
      if (!signal.aborted) throw new Error(`the ${name} ended:\n${lines().slice(-5).join('\n')}`);
    });
    await Promise.race([whenAborted(signal), ...ended]).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return 0;
  } finally {
    await stack.stop();
    console.log('stopped');
  }
});

/** Warnings and worse of our own processes, as they log them: JSON. */
function showProblem(line: string): void {
  if (/"level":(?:40|50|60)\b/.test(line) || !line.startsWith('{')) console.error(line);
}
