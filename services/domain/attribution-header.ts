import { parseUuid, type Uuid } from './uuid.js';

/**
 * The header that carries an experience from the start of a workflow to every activity. The server writes it, the
 * plugin hands it on and reads it; it holds no secret and no money that is decided by it.
 */
export const ATTRIBUTION_HEADER = 'experiences-attribution';

export interface AttributionHeader {
  readonly experienceId: Uuid;
  readonly experienceType: string;
  readonly experienceVersion: number;
  /** Run id before any reset, added by the workflow: part of the operation key. */
  readonly originalRunId?: string;
}

/** The shape of Temporal's Payload, without its package. */
export interface HeaderPayload {
  readonly metadata?: Readonly<Record<string, Uint8Array>> | null;
  readonly data?: Uint8Array | null;
}

const ENCODING = new TextEncoder().encode('json/plain');

export function encodeAttributionHeader(header: AttributionHeader): HeaderPayload {
  return { metadata: { encoding: ENCODING }, data: new TextEncoder().encode(JSON.stringify(header)) };
}

/** undefined for what is not such a header: a foreign one must never fail a workflow. */
export function decodeAttributionHeader(payload: HeaderPayload | undefined): AttributionHeader | undefined {
  if (!payload?.data) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(payload.data));
  } catch {
    return undefined; // Not JSON, so not ours.
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { experienceId, experienceType, experienceVersion, originalRunId } = value as Record<string, unknown>;
  const id = typeof experienceId === 'string' ? parseUuid(experienceId) : undefined;
  if (id === undefined || typeof experienceType !== 'string' || typeof experienceVersion !== 'number')
    return undefined;
  return {
    experienceId: id,
    experienceType,
    experienceVersion,
    ...(typeof originalRunId === 'string' ? { originalRunId } : {}),
  };
}
