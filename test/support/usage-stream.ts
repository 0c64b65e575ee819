import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { fromServiceError } from '../../services/client/experiences-error.js';
import { contract } from '../../services/contract/contract.js';
import type { StreamUsageRequest } from '../../services/contract/generated/experiences/v1/StreamUsageRequest.js';
import type { StreamUsageResponse__Output } from '../../services/contract/generated/experiences/v1/StreamUsageResponse.js';
import { waitUntil } from './wait-until.js';

const method = contract.UsageService.service.StreamUsage;

/** A StreamUsage call that does what it is told, on a connection of its own. */
export class RawUsageStream {
  readonly answers: StreamUsageResponse__Output[] = [];
  /** How it ended: with an error, or with OK. */
  readonly ended: Promise<unknown>;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, StreamUsageResponse__Output>;

  constructor(address: string, options: { readonly metadata?: Readonly<Record<string, string>> } = {}) {
    this.#client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
    this.#call = this.#client.makeBidiStreamRequest(
      method.path,
      (bytes: Buffer) => bytes,
      method.responseDeserialize,
      metadata,
    );
    let error: unknown = 'OK';
    this.#call.on('error', (reason: unknown) => {
      error = fromServiceError(reason);
    });
    this.ended = new Promise((resolve) => {
      this.#call.on('status', () => setImmediate(() => resolve(error)));
    });
    this.#call.on('data', (answer: StreamUsageResponse__Output) => this.answers.push(answer));
  }

  /** Reads no more answers. One must have been read before: until then grpc-js takes them in whatever its reader does. */
  pauseReading(): void {
    this.#call.pause();
  }

  resumeReading(): void {
    this.#call.resume();
  }

  /** Answers whether the stream takes more at once. */
  send(message: StreamUsageRequest): boolean {
    return this.sendBytes(method.requestSerialize(message));
  }

  sendBytes(bytes: Buffer): boolean {
    return this.#call.write(bytes);
  }

  async answer(sequence: number): Promise<StreamUsageResponse__Output> {
    return waitUntil(`message ${sequence} is answered`, () =>
      this.answers.find(({ ackedSequence }) => ackedSequence === String(sequence)),
    );
  }

  /** How many messages have not left. */
  unsent(): number {
    return this.#call.writableLength;
  }

  end(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}
