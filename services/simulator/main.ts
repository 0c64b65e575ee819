/** Runs the simulator as a process: settings from the environment, one line on stdout when it is ready. */
import { z } from 'zod';
import { parseFaults } from './faults.js';
import { startSimulator } from './simulator.js';

const PORT_MAX = 65_535;
const DELAY_MS_MAX = 600_000;
const SEED_MAX = 0xffff_ffff;
const DELAY_MS = z.coerce.number().int().min(0).max(DELAY_MS_MAX).default(0);

const ENVIRONMENT = z.object({
  SIMULATOR_PORT: z.coerce.number().int().min(0).max(PORT_MAX).default(0),
  SIMULATOR_HOST: z.string().min(1).default('127.0.0.1'),
  SIMULATOR_API_KEY: z.string().min(1).optional(),
  SIMULATOR_LATENCY_MS: DELAY_MS,
  SIMULATOR_LATENCY_JITTER_MS: DELAY_MS,
  SIMULATOR_TOKEN_DELAY_MS: DELAY_MS,
  SIMULATOR_PROMPT_CACHE: z.enum(['on', 'off']).default('on'),
  SIMULATOR_SEED: z.coerce.number().int().min(0).max(SEED_MAX).default(1),
  SIMULATOR_FAULTS: z
    .string()
    .transform(parseFaults)
    .refine((faults) => faults !== undefined, 'names no known fault')
    .optional(),
});

async function main(): Promise<void> {
  const environment = ENVIRONMENT.safeParse(process.env);
  if (!environment.success) {
    const problems = environment.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    fail('the environment is not valid', problems);
    return;
  }
  const settings = environment.data;
  const simulator = await startSimulator({
    port: settings.SIMULATOR_PORT,
    host: settings.SIMULATOR_HOST,
    apiKey: settings.SIMULATOR_API_KEY,
    latencyMs: settings.SIMULATOR_LATENCY_MS,
    latencyJitterMs: settings.SIMULATOR_LATENCY_JITTER_MS,
    tokenDelayMs: settings.SIMULATOR_TOKEN_DELAY_MS,
    promptCache: settings.SIMULATOR_PROMPT_CACHE === 'on',
    seed: settings.SIMULATOR_SEED,
    faults: settings.SIMULATOR_FAULTS,
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // After the last connection nothing keeps the process alive, so it ends with status 0.
    process.once(signal, () => void simulator.stop());
  }
  console.log(
    JSON.stringify({ level: 'info', time: Date.now(), msg: 'simulator ready', url: simulator.apiUrl }),
  );
}

function fail(msg: string, problems: readonly string[]): void {
  console.error(JSON.stringify({ level: 'error', time: Date.now(), msg, problems }));
  process.exitCode = 1;
}

main().catch((error: unknown) => {
  fail('the simulator cannot start', [error instanceof Error ? error.message : String(error)]);
});
