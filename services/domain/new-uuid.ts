import { v7 } from 'uuid';
import type { Uuid } from './uuid.js';

/**
 * A fresh UUIDv7: in the order of time, so that indexes on it grow at one edge. Apart from `uuid.ts` because workflow
 * code, which must not draw randomness, reads UUIDs too.
 */
export function newUuid(): Uuid {
  return v7() as Uuid;
}
