import { contract } from '../../services/contract/contract.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { benchRecord, toWireRecord } from './bench-record.js';

/** What a load sends: how many records a message, of which experiences, how many of them again. */
export interface MessageShape {
  /** `unary` holds one record, `batch` and `stream` as many as there are. */
  readonly call: 'unary' | 'batch' | 'stream';
  readonly records: number;
  /** Infinite: all of the load goes to one experience. */
  readonly eventsOfExperience: number;
  /** How many of ten records are those of the message before, sent again. */
  readonly resentOfTen: number;
  /** Records as activities of workflows send them. */
  readonly operations?: boolean;
}

/**
 * One request, encoded before the clock starts. A fresh message of it is the same bytes with other ids in their places,
 * which costs the load generator next to nothing. So the bytes may be written anew only after they were answered.
 */
export class RequestTemplate {
  readonly bytes: Buffer;
  readonly #shape: MessageShape;
  readonly #places: readonly Place[];
  readonly #hotExperienceId: string;
  #experienceId = '';
  #freshRecords = 0;
  #messages = 0;

  constructor(shape: MessageShape, hotExperienceId: string) {
    this.#shape = shape;
    this.#hotExperienceId = hotExperienceId;
    const head = shape.call === 'stream' ? Buffer.from([SEQUENCE_TAG, 0, 0, 0]) : Buffer.alloc(0);
    const parts: Buffer[] = [head];
    const places: Place[] = [];
    let offset = head.length;
    for (let index = 0; index < shape.records; index += 1) {
      const record = benchRecord(index, { operations: shape.operations === true });
      const part = contract.UsageService.service.RecordUsage.requestSerialize({
        record: toWireRecord(record, EVENT_PLACE, EXPERIENCE_PLACE),
      });
      // One record in its request is the same bytes as one of many in a batch; a stream has another field for it.
      if (shape.call === 'stream') part[0] = STREAM_RECORDS_TAG;
      places.push({
        event: offset + part.indexOf(EVENT_PLACE, 0, 'latin1'),
        experience: offset + part.indexOf(EXPERIENCE_PLACE, 0, 'latin1'),
        cost: record.cost,
      });
      parts.push(part);
      offset += part.length;
    }
    this.bytes = Buffer.concat(parts);
    this.#places = places;
  }

  /** Makes the bytes a new message; answers how many of its records are new and what those cost. */
  refresh(): FreshRecords {
    let [records, cost] = [0, 0n];
    for (const [index, place] of this.#places.entries()) {
      if (this.#messages > 0 && (index + this.#messages * 3) % 10 < this.#shape.resentOfTen) continue;
      this.bytes.write(newUuid(), place.event, UUID_LENGTH, 'latin1');
      this.bytes.write(this.#experienceOfNext(), place.experience, UUID_LENGTH, 'latin1');
      records += 1;
      cost += place.cost;
    }
    this.#messages += 1;
    return { records, cost };
  }

  /** Of a stream. Three bytes hold it, whatever it is: the bytes behind keep their places. */
  setSequence(sequence: number): void {
    if (sequence < SEQUENCE_MIN || sequence > SEQUENCE_MAX) throw new RangeError('a sequence of three bytes');
    this.bytes[1] = (sequence & 0x7f) | 0x80;
    this.bytes[2] = ((sequence >> 7) & 0x7f) | 0x80;
    this.bytes[3] = sequence >> 14;
  }

  #experienceOfNext(): string {
    const { eventsOfExperience } = this.#shape;
    if (eventsOfExperience === Number.POSITIVE_INFINITY) return this.#hotExperienceId;
    if (this.#freshRecords % eventsOfExperience === 0) this.#experienceId = newUuid();
    this.#freshRecords += 1;
    return this.#experienceId;
  }
}

export interface FreshRecords {
  readonly records: number;
  /** In whole numbers of 10^-18. */
  readonly cost: bigint;
}

interface Place {
  readonly event: number;
  readonly experience: number;
  readonly cost: bigint;
}

/** The least and the greatest number of three bytes as a varint. */
export const SEQUENCE_MIN = 2 ** 14;
const SEQUENCE_MAX = 2 ** 21 - 1;
/** Fields 1 (varint) and 2 (bytes) of StreamUsageRequest. */
const SEQUENCE_TAG = 0x08;
const STREAM_RECORDS_TAG = 0x12;
const UUID_LENGTH = 36;
const EVENT_PLACE = '00000000-0000-7000-8000-00000000000e';
const EXPERIENCE_PLACE = '00000000-0000-7000-8000-00000000000f';
