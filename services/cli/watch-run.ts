import type { ExperienceRun, ExperiencesClient } from '../client/index.js';
import { CommandError } from './command-error.js';
import type { Output } from './output.js';
import { runStatusText } from './run-text.js';
import type { Surroundings } from './session.js';

/** Follows a run and shows how far it is; answers it when it has ended. Ctrl-C ends the watching, never the run. */
export async function watchRun(
  experienceId: string,
  { client, output, onInterrupt }: WatchParts,
): Promise<ExperienceRun> {
  let stopListening: () => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    stopListening = onInterrupt(() => reject(interruption(experienceId)));
  });
  try {
    return await Promise.race([follow(experienceId, client, output), interrupted]);
  } finally {
    stopListening();
  }
}

interface WatchParts extends Pick<Surroundings, 'onInterrupt'> {
  readonly client: Pick<ExperiencesClient, 'runs'>;
  readonly output: Output;
}

async function follow(
  experienceId: string,
  client: WatchParts['client'],
  output: Output,
): Promise<ExperienceRun> {
  const startedAt = performance.now();
  for await (const run of client.runs.watch(experienceId)) {
    if (run.state !== 'RUNNING') return run;
    output.status(runStatusText(run, performance.now() - startedAt));
  }
  throw new Error('a watch ended before its run');
}

function interruption(experienceId: string): CommandError {
  return new CommandError('INTERRUPTED', 'Stopped watching; the run itself goes on.', {
    hint: `\`experiences run ${experienceId} --watch\` watches it again, \`experiences cancel ${experienceId}\` ends it.`,
  });
}
