/**
 * Which lane takes what two lanes had better not write at once, an experience for one. While an entry with it is under way
 * the others of it follow into the same lane. A call with few entries goes to the first lane as long as few wait there: a
 * commit costs as much for its commands as for what they carry, so a few entries are cheaper in one commit than in several.
 * All else is spread.
 */
export class LanePlaces {
  readonly #lanes: readonly { readonly waiting: number }[];
  readonly #places = new Map<string, { readonly lane: number; entries: number }>();

  constructor(lanes: readonly { readonly waiting: number }[]) {
    this.#lanes = lanes;
  }

  /** For a call with so many entries: the lane of what is in none yet; undefined: they are spread. */
  together(entries: number): number | undefined {
    const areFew = entries <= CALL_ENTRIES_MAX && (this.#lanes[0]?.waiting ?? 0) < WAITING_ENTRIES_MAX;
    return areFew ? 0 : undefined;
  }

  /** The index of the lane for an entry, `wanted` if nothing with its key is under way. Each is given back by `leave`. */
  enter(key: string, wanted: number | undefined): number {
    const place = this.#places.get(key) ?? { lane: wanted ?? hash(key) % this.#lanes.length, entries: 0 };
    place.entries += 1;
    this.#places.set(key, place);
    return place.lane;
  }

  leave(key: string): void {
    const place = this.#places.get(key);
    if (place === undefined) throw new Error('only what has entered leaves');
    place.entries -= 1;
    if (place.entries === 0) this.#places.delete(key);
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

const CALL_ENTRIES_MAX = 64;
const WAITING_ENTRIES_MAX = 32;
