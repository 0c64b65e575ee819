import type { IndexedPassage } from './passage-index.js';

/** Keeps the indexes of the documents asked about last, so that not every question reads them anew. */
export class StretchCache {
  /** In the order of use, the latest last. */
  readonly #indexes = new Map<string, readonly IndexedPassage[]>();
  #count = 0;

  /** The passages of all stretches; `read` is asked for those of one. An index never changes once it is whole. */
  async passages(
    key: string,
    stretchCount: number,
    read: (index: number) => Promise<readonly IndexedPassage[]>,
  ): Promise<readonly IndexedPassage[]> {
    const known = this.#indexes.get(key);
    if (known !== undefined) {
      this.#indexes.delete(key);
      this.#indexes.set(key, known);
      return known;
    }
    const passages: IndexedPassage[] = [];
    for (let index = 0; index < stretchCount; index += 1) passages.push(...(await read(index)));
    if (!this.#indexes.has(key)) this.#count += passages.length;
    this.#indexes.set(key, passages);
    for (const [oldest, { length }] of this.#indexes) {
      if (this.#count <= PASSAGES_MAX || oldest === key) break;
      this.#indexes.delete(oldest);
      this.#count -= length;
    }
    return passages;
  }
}

/** About 64 MB of vectors; one index may be larger, and is then kept alone. */
const PASSAGES_MAX = 60_000;
