import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { contract } from '../../services/contract/contract.js';
import { type AnswerCounts, answerCounts } from './answer-counts.js';
import { type RequestTemplate, SEQUENCE_MIN } from './request-template.js';

/** Sends messages that are bytes already, and reads of the answers only what is counted. */
export interface RecordSender {
  /** Rejects when there was no answer; then the message may be sent again. */
  send(template: RequestTemplate): Promise<AnswerCounts>;
  close(): void;
}

export function benchClient(address: string): Client {
  return new Client(address, credentials.createInsecure(), {
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
  });
}

export async function callBytes(client: Client, path: string, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_TIME_MAX_MS };
    client.makeUnaryRequest(path, asIs, asIs, bytes, NO_METADATA, options, (error, answer) => {
      if (error !== null) reject(error);
      else resolve(answer ?? Buffer.alloc(0));
    });
  });
}

export function recordSender(client: Client, call: 'unary' | 'batch' | 'stream'): RecordSender {
  if (call === 'stream') return new StreamSender(client);
  const path =
    call === 'unary'
      ? contract.UsageService.service.RecordUsage.path
      : contract.UsageService.service.BatchRecordUsage.path;
  return {
    async send({ bytes }) {
      const answer = await callBytes(client, path, bytes);
      return call === 'unary' ? ONE_RECORDED : answerCounts(answer, call);
    },
    close: () => undefined,
  };
}

class StreamSender implements RecordSender {
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  readonly #waiting = new Map<number, Waiting>();
  #sequence = SEQUENCE_MIN;

  constructor(client: Client) {
    const { path } = contract.UsageService.service.StreamUsage;
    this.#stream = client.makeBidiStreamRequest(path, asIs, asIs, NO_METADATA);
    this.#stream.on('data', (bytes: Buffer) => {
      const counts = answerCounts(bytes, 'stream');
      this.#waiting.get(counts.sequence)?.resolve(counts);
      this.#waiting.delete(counts.sequence);
    });
    // A stream that ends in the middle of a load is a finding, not something to go on after.
    this.#stream.on('error', (error: unknown) => {
      for (const { reject } of this.#waiting.values()) reject(new StreamEnded(String(error)));
    });
  }

  send(template: RequestTemplate): Promise<AnswerCounts> {
    const sequence = this.#sequence;
    this.#sequence += 1;
    template.setSequence(sequence);
    return new Promise((resolve, reject) => {
      this.#waiting.set(sequence, { resolve, reject });
      this.#stream.write(template.bytes);
    });
  }

  close(): void {
    this.#stream.end();
  }
}

export class StreamEnded extends Error {
  override readonly name = 'StreamEnded';
}

interface Waiting {
  readonly resolve: (counts: AnswerCounts) => void;
  readonly reject: (error: unknown) => void;
}

const asIs = (bytes: Buffer): Buffer => bytes;
const NO_METADATA = new Metadata();
const ONE_RECORDED: AnswerCounts = { sequence: 0, recorded: 1, duplicate: 0, failed: 0 };
const CALL_TIME_MAX_MS = 30_000;
