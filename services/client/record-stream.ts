import type { ClientDuplexStream } from '@grpc/grpc-js';
import { contract } from '../contract/contract.js';
import type { StreamUsageResponse__Output } from '../contract/generated/experiences/v1/StreamUsageResponse.js';
import type { Channel } from './call.js';
import { fromServiceError } from './experiences-error.js';

const method = contract.UsageService.service.StreamUsage;

/** One StreamUsage call. It does not care for the window: who sends bounds what is under way. */
export class RecordStream {
  readonly #call: ClientDuplexStream<Buffer, StreamUsageResponse__Output>;
  readonly #ended: Promise<void>;

  /** `ended` gets the error that ended the stream; undefined: the service ended it with OK. Nothing is called after it. */
  constructor(
    { client, metadata }: Channel,
    on: {
      readonly answer: (response: StreamUsageResponse__Output) => void;
      readonly ended: (error: unknown) => void;
    },
  ) {
    this.#call = client.makeBidiStreamRequest(
      method.path,
      (bytes: Buffer) => bytes,
      method.responseDeserialize,
      metadata,
    );
    let error: unknown;
    this.#call.on('data', on.answer);
    this.#call.on('error', (reason: unknown) => {
      error = fromServiceError(reason);
    });
    this.#ended = new Promise((resolve) => {
      this.#call.on('status', () => {
        // Answers that came before the status may still be on their way out of the stream's buffer.
        setImmediate(() => {
          this.#call.off('data', on.answer);
          on.ended(error);
          resolve();
        });
      });
    });
  }

  /** `items` as `encodeItem` makes them. */
  send(sequence: number, items: readonly Buffer[]): void {
    this.#call.write(Buffer.concat([method.requestSerialize({ sequence: String(sequence) }), ...items]));
  }

  /** Nothing more will be sent; resolves when the service has ended the stream too. */
  async end(): Promise<void> {
    const late = setTimeout(() => this.#call.cancel(), END_MAX_MS);
    this.#call.end();
    await this.#ended;
    clearTimeout(late);
  }

  cancel(): void {
    this.#call.cancel();
  }
}

const END_MAX_MS = 2_000;
