import { ExperiencesError } from './experiences-error.js';
import type { UsageRecord } from './types.js';
import type { UsageClient } from './usage-client.js';

/** The part of the client that metering needs. */
export type UsagePort = Pick<UsageClient, 'record' | 'reserve' | 'release'>;

/** What settling needs: the client's `usage`, or a recorder. */
export interface SettlingPort {
  record(record: UsageRecord): Promise<unknown>;
  release(eventId: string): Promise<unknown>;
}

/** What ends a call in the books. Sent again it changes nothing. */
export type Settlement =
  | { readonly kind: 'record'; readonly record: UsageRecord & { readonly eventId: string } }
  | { readonly kind: 'release'; readonly eventId: string };

/** Resolves when it is durable. */
export async function settle(usage: SettlingPort, settlement: Settlement): Promise<void> {
  if (settlement.kind === 'release') {
    await usage.release(settlement.eventId);
    return;
  }
  const { record } = settlement;
  try {
    await usage.record(record);
  } catch (error) {
    if (!isGone(error) || record.experienceId === undefined) throw error;
    await usage.record(unattributed(record));
  }
}

/** The experience or its type was deleted meanwhile. The money is spent: it is recorded, unattributed. */
function unattributed(record: UsageRecord): UsageRecord {
  const { experienceId, experienceType: _type, experienceVersion: _version, ...facts } = record;
  return { ...facts, properties: { ...facts.properties, ...(experienceId ? { experienceId } : {}) } };
}

export function isGone(error: unknown): boolean {
  return (
    error instanceof ExperiencesError &&
    (error.reason === 'EXPERIENCE_NOT_FOUND' || error.reason === 'EXPERIENCE_TYPE_NOT_FOUND')
  );
}

/** A fault of the service may pass too, but one that has come several times will come again. */
export function mayPass(error: unknown, attempt: number): boolean {
  if (!(error instanceof ExperiencesError)) return false;
  return PASSING_CODES.has(error.code) || (error.code === 'INTERNAL' && attempt < INTERNAL_ATTEMPTS_MAX);
}

const PASSING_CODES = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'ABORTED']);
const INTERNAL_ATTEMPTS_MAX = 5;
