/**
 * The fields of an encoded message, one after the other, without decoding them. It must agree with the decoder about
 * where each field ends, or a message could show it other fields than the decoder then makes objects of. The decoder
 * goes by the number of a field alone and reads it as the contract says, whatever type the bytes claim; so a field of
 * another type than the contract's is refused here, and so are groups and overlong numbers, which no encoder writes.
 */
export function readFields(
  bytes: Uint8Array,
  range: { readonly from: number; readonly to: number },
  shape: MessageShape,
  visit: (field: number, from: number, to: number) => void,
): void {
  const cursor = new Cursor(bytes, range.from, range.to);
  while (cursor.position < range.to) {
    const tag = cursor.number();
    const field = Math.floor(tag / 8);
    const wireType = tag % 8;
    const kind = shape.get(field);
    if (field === 0 || (kind !== undefined && WIRE_TYPE_OF[kind] !== wireType)) throw new NoMessage();
    const from = cursor.position;
    if (wireType === LENGTH_DELIMITED) {
      const length = cursor.number();
      const start = cursor.position;
      cursor.skip(length);
      visit(field, start, cursor.position);
    } else {
      if (wireType === VARINT) cursor.skipVarint(kind === 'int32');
      else cursor.skip(wireType === FIXED_64 ? 8 : wireType === FIXED_32 ? 4 : Number.POSITIVE_INFINITY);
      visit(field, from, cursor.position);
    }
  }
}

/** How each field of a message travels, by its number; of fields that are not there nothing is known. */
export type MessageShape = ReadonlyMap<number, 'int32' | 'int64' | 'bytes'>;

/** By the contract, as the loader describes a message type. */
export function messageShape(definition: { readonly type: object }): MessageShape {
  // A google.protobuf.DescriptorProto, which the loader types as an object.
  const { field: fields } = definition.type as {
    readonly field: readonly { readonly number: number; readonly type: string; readonly label: string }[];
  };
  return new Map(
    fields.map(({ number, type, label }) => {
      const kind = KIND_OF_TYPE[type];
      if (kind === undefined || (kind !== 'bytes' && label === 'LABEL_REPEATED')) {
        throw new Error(`fields of ${label} ${type} are not read here`);
      }
      return [number, kind] as const;
    }),
  );
}

/** The bytes are no message of the contract. */
class NoMessage extends Error {
  override readonly name = 'NoMessage';
}

class Cursor {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  position: number;

  constructor(bytes: Uint8Array, position: number, end: number) {
    this.#bytes = bytes;
    this.#end = end;
    this.position = position;
  }

  /** A tag or a length: below 2^32. */
  number(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 28; factor *= 128) {
      const byte = this.#byte();
      value += (byte % 128) * factor;
      if (byte < 128 && value < 2 ** 32) return value;
    }
    throw new NoMessage();
  }

  /** Of 32 bits the decoder takes five bytes or, for what is below nothing, ten. */
  skipVarint(isShort: boolean): void {
    for (let count = 1; count <= 10; count += 1) {
      if (this.#byte() >= 128) continue;
      if (isShort && count > 5 && count < 10) break;
      return;
    }
    throw new NoMessage();
  }

  skip(count: number): void {
    if (this.position + count > this.#end) throw new NoMessage();
    this.position += count;
  }

  #byte(): number {
    const byte = this.position < this.#end ? this.#bytes[this.position] : undefined;
    if (byte === undefined) throw new NoMessage();
    this.position += 1;
    return byte;
  }
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const WIRE_TYPE_OF = { int32: VARINT, int64: VARINT, bytes: LENGTH_DELIMITED } as const;
const KIND_OF_TYPE: Readonly<Record<string, 'int32' | 'int64' | 'bytes'>> = {
  TYPE_STRING: 'bytes',
  TYPE_MESSAGE: 'bytes',
  TYPE_ENUM: 'int32',
  TYPE_INT32: 'int32',
  TYPE_BOOL: 'int32',
  TYPE_INT64: 'int64',
};
