import { z } from 'zod';

/** That the environment does not hold what a process needs; the message names every variable that is wrong. */
export class BadConfiguration extends Error {
  override readonly name = 'BadConfiguration';
}

/** Reads a process's configuration. Empty variables count as absent, as `NAME= command` in a shell sets them. */
export function readConfiguration<Shape extends z.ZodRawShape>(
  shape: Shape,
  environment: Readonly<Record<string, string | undefined>>,
): z.output<z.ZodObject<Shape>> {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
  throw new BadConfiguration(`The environment is not as it must be:\n${lines.join('\n')}`);
}

/** The same for an entry point: a wrong environment is told in plain lines, and the process ends with code 1. */
export function configurationOrExit<Shape extends z.ZodRawShape>(
  shape: Shape,
  environment: Readonly<Record<string, string | undefined>>,
): z.output<z.ZodObject<Shape>> {
  try {
    return readConfiguration(shape, environment);
  } catch (error) {
    if (!(error instanceof BadConfiguration)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

export const LOG_LEVEL = z
  .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
  .default('info');
export const FLAG = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');
