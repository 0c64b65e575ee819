#!/usr/bin/env node
import { runCommandLine } from './command-line.js';

/** Entry point of the `experiences` command. */

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has seen enough, as `head` has: nothing more is to be said, and it is no failure.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

const exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  onInterrupt(listener) {
    process.once('SIGINT', listener);
    return () => process.off('SIGINT', listener);
  },
});
// A stream that was left may be open still and must not hold the process; what was written must leave before.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
