/** One passage of a document in its index. */
export interface IndexedPassage {
  readonly offset: number;
  readonly length: number;
  /** Of length 1. */
  readonly vector: Float32Array;
}

/** Where an index is kept, by operation key. */
export interface AnswerStore {
  /** undefined: nothing is kept. */
  get(operationKey: string): Promise<Uint8Array | undefined>;
  put(operationKey: string, content: Uint8Array): Promise<void>;
}

/**
 * Keeps the passages of one stretch. What is larger than an answer may be is kept in pieces, the first one last: where it
 * is, the others are.
 */
export async function keepStretch(
  store: AnswerStore,
  key: string,
  passages: readonly IndexedPassage[],
): Promise<void> {
  const pieces = piecesOf(packed(passages));
  for (const [index, piece] of [...pieces.entries()].reverse()) await store.put(`${key}/${index}`, piece);
}

/** undefined: the stretch is not kept. */
export async function readStretch(
  store: AnswerStore,
  key: string,
): Promise<readonly IndexedPassage[] | undefined> {
  const first = await store.get(`${key}/0`);
  if (first === undefined) return undefined;
  const bytesTotal = new DataView(first.buffer, first.byteOffset).getUint32(0, true);
  const parts = [first];
  for (let bytes = first.length; bytes < bytesTotal; ) {
    const part = await store.get(`${key}/${parts.length}`);
    if (part === undefined || part.length === 0) return undefined;
    parts.push(part);
    bytes += part.length;
  }
  return unpacked(Buffer.concat(parts));
}

/** The passages nearest to a vector of length 1, best first; of equal ones the earlier. */
export function nearestPassages(
  passages: Iterable<IndexedPassage>,
  question: Float32Array,
  countMax: number,
): readonly { readonly offset: number; readonly length: number }[] {
  const best: { readonly score: number; readonly offset: number; readonly length: number }[] = [];
  for (const { offset, length, vector } of passages) {
    const score = product(vector, question);
    const worst = best.at(-1);
    if (best.length === countMax && worst !== undefined && score <= worst.score) continue;
    const place = best.findIndex((other) => other.score < score);
    best.splice(place === -1 ? best.length : place, 0, { score, offset, length });
    best.length = Math.min(best.length, countMax);
  }
  return best.map(({ offset, length }) => ({ offset, length }));
}

function product(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < one.length; index += 1) sum += (one[index] ?? 0) * (other[index] ?? 0);
  return sum;
}

/**
 * Little-endian: bytes in all, passages, numbers in a vector (4 bytes each); then of each passage its offset and length (4
 * bytes each) and its vector as 32-bit floats.
 */
function packed(passages: readonly IndexedPassage[]): Buffer {
  const dimensions = passages[0]?.vector.length ?? 0;
  const bytes = Buffer.alloc(HEAD_BYTES + passages.length * (PLACE_BYTES + dimensions * FLOAT_BYTES));
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(passages.length, 4);
  bytes.writeUInt32LE(dimensions, 8);
  let at = HEAD_BYTES;
  for (const { offset, length, vector } of passages) {
    at = bytes.writeUInt32LE(offset, at);
    at = bytes.writeUInt32LE(length, at);
    for (let index = 0; index < dimensions; index += 1) at = bytes.writeFloatLE(vector[index] ?? 0, at);
  }
  return bytes;
}

function unpacked(bytes: Buffer): readonly IndexedPassage[] {
  const dimensions = bytes.readUInt32LE(8);
  return Array.from({ length: bytes.readUInt32LE(4) }, (_, passage) => {
    const at = HEAD_BYTES + passage * (PLACE_BYTES + dimensions * FLOAT_BYTES);
    return {
      offset: bytes.readUInt32LE(at),
      length: bytes.readUInt32LE(at + 4),
      vector: Float32Array.from({ length: dimensions }, (_value, index) =>
        bytes.readFloatLE(at + PLACE_BYTES + index * FLOAT_BYTES),
      ),
    };
  });
}

function piecesOf(bytes: Buffer): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES_MAX) }, (_, index) =>
    bytes.subarray(index * PIECE_BYTES_MAX, (index + 1) * PIECE_BYTES_MAX),
  );
}

const HEAD_BYTES = 12;
const PLACE_BYTES = 8;
const FLOAT_BYTES = 4;
/** What an answer may have. */
const PIECE_BYTES_MAX = 256 * 1024;
