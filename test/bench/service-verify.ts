import { Metadata, status } from '@grpc/grpc-js';
import { benchClient } from './record-sender.js';

/** What the service itself says of its books. */
export interface ServiceVerify {
  readonly differences: number;
  readonly seconds: number;
}

/**
 * Asks the service to verify its books; undefined: it has no such call. Of each message of the answer only what it is
 * matters, which its first byte tells: 1 progress, 2 a difference, 3 the summary, which comes if all was checked.
 */
export async function serviceVerify(address: string): Promise<ServiceVerify | undefined> {
  const client = benchClient(address);
  const since = performance.now();
  const asIs = (bytes: Buffer): Buffer => bytes;
  try {
    return await new Promise((resolve, reject) => {
      const everything = Buffer.alloc(0);
      const answer = client.makeServerStreamRequest(VERIFY_PATH, asIs, asIs, everything, new Metadata());
      const fields: number[] = [];
      answer.on('data', (bytes: Buffer) => fields.push((bytes[0] ?? 0) >> 3));
      answer.on('error', (error: { readonly code?: number }) => {
        if (error.code === status.UNIMPLEMENTED) resolve(undefined);
        else reject(error);
      });
      answer.on('end', () => {
        if (fields.at(-1) !== SUMMARY_FIELD) return; // It ended with an error, which says why.
        const differences = fields.filter((field) => field === DIFFERENCE_FIELD).length;
        resolve({ differences, seconds: Math.round((performance.now() - since) / 100) / 10 });
      });
    });
  } finally {
    client.close();
  }
}

const VERIFY_PATH = '/experiences.v1.AdminService/Verify';
const DIFFERENCE_FIELD = 2;
const SUMMARY_FIELD = 3;
