import { ExperiencesClient, ExperiencesError } from '../client/index.js';
import { CommandError } from './command-error.js';

/**
 * Throws within seconds when no service answers. The client itself is patient: it sends a call again until its whole
 * time is over, which is right for a program and too long for a person who mistyped a port.
 */
export async function assertReachable(address: string, timeoutMs: number): Promise<void> {
  const client = new ExperiencesClient({ address, timeoutMs: Math.min(timeoutMs, PROBE_TIME_MAX_MS) });
  try {
    // The service refuses this id by its looks, without asking its store; any answer of its own will do.
    await client.prices.get('-');
  } catch (error) {
    if (!(error instanceof ExperiencesError)) throw error;
    if (error.reason === undefined) throw unreachable(address, error);
  } finally {
    client.close();
  }
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

const PROBE_TIME_MAX_MS = 2_000;
