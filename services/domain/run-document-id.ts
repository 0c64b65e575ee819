import { v5 } from 'uuid';
import type { Uuid } from './uuid.js';

/**
 * The id of the document that came with the start of a run: always the same for an experience, so that a repeated start
 * keeps it once. Apart from `run.ts`, which workflow code reads.
 */
export function runDocumentId(experienceId: string): Uuid {
  return v5(`${experienceId.toLowerCase()}/document`, NAMESPACE) as Uuid;
}

const NAMESPACE = 'b6f4f0c5-3a55-4d0e-9a9e-0f6a1c9d2e71';
