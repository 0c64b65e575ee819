import { parseUuid, type Uuid } from './uuid.js';

/**
 * The header that carries an experience from the start of a workflow to every activity. The server writes it, the
 * plugin hands it on and reads it; it holds no secret and no money that is decided by it.
 */
export const ATTRIBUTION_HEADER = 'experiences-attribution';

export interface AttributionHeader {
  /** Absent: every run that starts with this header finds its own, as a firing of a schedule must. */
  readonly experienceId?: Uuid;
  /** '': none. */
  readonly experienceType: string;
  /** 0: none. */
  readonly experienceVersion: number;
  /** What the experience may cost at first, a decimal string in USD; a raise later does not change it. */
  readonly budget?: string;
  /** Run id before any reset, added by the workflow: part of the operation key. */
  readonly originalRunId?: string;
  /** Name of the step that schedules an activity, added by the workflow. */
  readonly step?: string;
  /** Added by the workflow's interceptors: an activity that does not find it knows that the bundle lacks them. */
  readonly marker?: string;
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
  return payload?.data ? parseAttributionHeader(new TextDecoder().decode(payload.data)) : undefined;
}

/** From JSON text, which is what a Nexus header holds; undefined for anything else. */
export function parseAttributionHeader(text: string): AttributionHeader | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Not JSON, so not ours.
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const { experienceType, experienceVersion } = fields;
  const experienceId = typeof fields.experienceId === 'string' ? parseUuid(fields.experienceId) : undefined;
  if (fields.experienceId !== undefined && experienceId === undefined) return undefined;
  if (typeof experienceType !== 'string' || typeof experienceVersion !== 'number') return undefined;
  const texts = TEXT_FIELDS.flatMap((name) => {
    const text = fields[name];
    return typeof text === 'string' ? [[name, text] as const] : [];
  });
  return {
    ...(experienceId === undefined ? {} : { experienceId }),
    experienceType,
    experienceVersion,
    ...Object.fromEntries(texts),
  };
}

const TEXT_FIELDS = ['budget', 'originalRunId', 'step', 'marker'] as const;
