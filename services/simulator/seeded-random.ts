/** Numbers in [0, 1), the same sequence for the same seed: faults must fall on the same calls in every run of a test. */
export type Random = () => number;

const UINT32_RANGE = 2 ** 32;
/** A xorshift state of zero would stay zero. */
const STATE_FOR_ZERO = 0x9e3779b9;
/** Neighbouring small seeds give similar first numbers; after a few steps they do not. */
const WARM_UP_STEPS = 16;

/** Xorshift of 32 bits with the shifts 13, 17, 5 (G. Marsaglia, "Xorshift RNGs", 2003). */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0 || STATE_FOR_ZERO;
  function next(): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / UINT32_RANGE;
  }
  for (let step = 0; step < WARM_UP_STEPS; step += 1) next();
  return next;
}
