/**
 * Which lane takes what two lanes had better not write at once, an experience for one. While a call with it is under way it
 * stays in its lane. A call with few entries goes to the first lane as long as few wait there: a commit costs as much for its
 * commands as for what they carry, so a few entries are cheaper in one commit than in several. All else is spread.
 */
export class LanePlaces {
  readonly #lanes: readonly { readonly waiting: number }[];
  readonly #places = new Map<string, { readonly lane: number; calls: number }>();

  constructor(lanes: readonly { readonly waiting: number }[]) {
    this.#lanes = lanes;
  }

  /** The index of a lane, for an entry of a call with so many. Each is given back by `leave`. */
  enter(key: string, entries: number): number {
    const known = this.#places.get(key);
    if (known !== undefined) {
      known.calls += 1;
      return known.lane;
    }
    const areFew = entries <= FEW_MAX && (this.#lanes[0]?.waiting ?? 0) < TOGETHER_MAX;
    const lane = areFew ? 0 : hash(key) % this.#lanes.length;
    this.#places.set(key, { lane, calls: 1 });
    return lane;
  }

  leave(key: string): void {
    const place = this.#places.get(key);
    if (place === undefined) throw new Error('only what has entered leaves');
    place.calls -= 1;
    if (place.calls === 0) this.#places.delete(key);
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  }
  return sum >>> 0;
}

/** Of one call. */
const FEW_MAX = 64;
/** Entries that wait in the first lane before others are used too. */
const TOGETHER_MAX = 32;
