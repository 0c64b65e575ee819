import { crc32 } from 'node:zlib';

/** One line of a journal; what it means is its reader's. */
export type Frame = unknown;

export interface FramesRead {
  readonly frames: readonly Frame[];
  /** Places within the file that hold no readable frame. */
  readonly corruptedCount: number;
  /** Bytes of an unfinished frame at the end: a write that was never acknowledged. */
  readonly tornBytes: number;
}

/**
 * `<payload bytes> <CRC-32> <payload>\n`, both numbers as eight hexadecimal digits, the payload JSON without a line break.
 * So a reader that meets damage finds the next frame behind the next line break.
 */
export function frameOf(json: string): Buffer {
  const payload = Buffer.from(json, 'utf8');
  return Buffer.concat([Buffer.from(headerOf(payload), 'latin1'), payload, LINE_END]);
}

export function readFrames(bytes: Buffer): FramesRead {
  const frames: Frame[] = [];
  let corruptedCount = 0;
  let from = 0;
  while (from < bytes.length) {
    // An empty line keeps a frame apart from what an interrupted write may have left before it.
    if (bytes[from] === LINE_BREAK) {
      from += 1;
      continue;
    }
    const end = frameEnd(bytes, from);
    if (end !== undefined) {
      const frame: Frame = JSON.parse(bytes.toString('utf8', from + HEADER_BYTES, end));
      frames.push(frame);
      // A frame whose line break alone is damaged is whole; what stands behind it still begins one byte on.
      if (end < bytes.length && bytes[end] !== LINE_BREAK) corruptedCount += 1;
      from = end + 1;
      continue;
    }
    const next = bytes.indexOf(LINE_BREAK, from);
    if (next === -1) return { frames, corruptedCount, tornBytes: bytes.length - from };
    corruptedCount += 1;
    from = next + 1;
  }
  return { frames, corruptedCount, tornBytes: 0 };
}

/** Where the payload of a whole frame ends; undefined: there is none at this place. What has the checksum is as written. */
function frameEnd(bytes: Buffer, from: number): number | undefined {
  const header = bytes.toString('latin1', from, from + HEADER_BYTES);
  const [, length = ''] = HEADER.exec(header) ?? [];
  if (length === '') return undefined;
  const end = from + HEADER_BYTES + Number.parseInt(length, 16);
  if (end > bytes.length) return undefined;
  return headerOf(bytes.subarray(from + HEADER_BYTES, end)) === header ? end : undefined;
}

function headerOf(payload: Buffer): string {
  return `${hexadecimal(payload.length)} ${hexadecimal(crc32(payload))} `;
}

function hexadecimal(value: number): string {
  return value.toString(16).padStart(8, '0');
}

const LINE_BREAK = 0x0a;
const LINE_END = Buffer.of(LINE_BREAK);
const HEADER = /^([0-9a-f]{8}) [0-9a-f]{8} $/;
const HEADER_BYTES = 18;
