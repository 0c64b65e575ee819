import { ExperiencesClient, ExperiencesError } from '../client/index.js';
import { CommandError } from './command-error.js';

/**
 * Throws within seconds when no service answers. The client itself is patient: it sends a call again until its whole
 * time is over, which is right for a program and too long for a person who mistyped a port. A refused connection is
 * certain soon; silence may be a service that is busy, and gets longer.
 */
export async function assertReachable(address: string, timeoutMs: number): Promise<void> {
  const refusal = await probe(address, Math.min(timeoutMs, REFUSED_TIME_MS));
  if (refusal === undefined) return;
  if (refusal.code !== 'DEADLINE_EXCEEDED') throw unreachable(address, refusal);
  const silence = await probe(address, Math.min(timeoutMs, SILENT_TIME_MS));
  if (silence !== undefined) throw unreachable(address, silence);
}

/** Answers why there was no answer of the service; undefined: there was one. */
async function probe(address: string, timeoutMs: number): Promise<ExperiencesError | undefined> {
  const client = new ExperiencesClient({ address, timeoutMs });
  try {
    // The service refuses this id by its looks, without asking its store; any answer of its own will do.
    await client.prices.get('-');
  } catch (error) {
    if (!(error instanceof ExperiencesError)) throw error;
    if (error.reason === undefined) return error;
  } finally {
    client.close();
  }
  return undefined;
}

/** `cause` has no reason of the service's own: it comes from the way there, or from something else that listens. */
export function unreachable(address: string, cause: ExperiencesError): CommandError {
  const away = cause.code === 'UNAVAILABLE' || cause.code === 'DEADLINE_EXCEEDED';
  const message = away
    ? `The service cannot be reached at ${address}.`
    : `What answers at ${address} is not the Experiences service (${cause.code}).`;
  const hint = 'Start one with `npm start`, or name another with --address or EXPERIENCES_ADDRESS.';
  return new CommandError('SERVICE_UNREACHABLE', message, { hint, cause });
}

const REFUSED_TIME_MS = 1_000;
const SILENT_TIME_MS = 2_000;
