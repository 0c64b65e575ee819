import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import type { Uuid } from './uuid.js';

/**
 * A fresh UUIDv7: in the order of time, so that indexes on it grow at one edge. Apart from `uuid.ts` because workflow
 * code, which must not draw randomness, reads UUIDs too.
 */
export function newUuid(): Uuid {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + UUID_BYTES);
  used += UUID_BYTES;
  return v7({ random }) as Uuid;
}

/** Randomness is drawn for many at once: drawing it for one takes longer than all else that is done for it. */
const UUID_BYTES = 16;
const POOL_BYTES = 256 * UUID_BYTES;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;
