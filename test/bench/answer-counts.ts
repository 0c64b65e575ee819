/**
 * The counts of an answer to many records, read from its bytes without decoding the thousand results before them: that
 * would make the load generator the limit. In an answer of a stream the sequence is field 1 and all else comes one later.
 */
export interface AnswerCounts {
  /** Of a stream; 0 else. */
  readonly sequence: number;
  readonly recorded: number;
  readonly duplicate: number;
  readonly failed: number;
}

export function answerCounts(bytes: Buffer, call: 'batch' | 'stream'): AnswerCounts {
  const values = new Map<number, number>();
  let position = 0;
  const varint = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = bytes[position];
      if (byte === undefined) throw new RangeError('the answer ends within a number');
      position += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  };
  while (position < bytes.length) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === 0) values.set((tag - wireType) / 8, varint());
    else if (wireType === 2) {
      const length = varint(); // It moves the position itself, so it cannot stand in the sum.
      position += length;
    } else throw new RangeError(`the answer has a field of wire type ${wireType}`);
  }
  const first = call === 'stream' ? 3 : 2;
  return {
    sequence: call === 'stream' ? (values.get(1) ?? 0) : 0,
    recorded: values.get(first) ?? 0,
    duplicate: values.get(first + 1) ?? 0,
    failed: values.get(first + 2) ?? 0,
  };
}
