import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import type { Uuid } from './uuid.js';

/**
 * A fresh UUIDv7: in the order of time, and within a millisecond in that of making, so that indexes on it grow at one edge and
 * what is made together is listed as it was made. Apart from `uuid.ts` because workflow
 * code, which must not draw randomness, reads UUIDs too.
 */
export function newUuid(): Uuid {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + UUID_BYTES);
  used += UUID_BYTES;
  const now = Date.now();
  // The package keeps no order of its own where it is given the randomness.
  if (now > msecs) [msecs, seq] = [now, random.readUInt32BE(0) >>> 1];
  else seq += 1;
  return v7({ random, msecs, seq }) as Uuid;
}

/** Randomness is drawn for many at once: drawing it for one takes longer than all else that is done for it. */
const UUID_BYTES = 16;
const POOL_BYTES = 256 * UUID_BYTES;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;
/** Of the last id; a clock that is set back does not bring earlier ones. */
let msecs = 0;
/** 32 bits, begun at random in the lower half: no millisecond comes to their end. */
let seq = 0;
