import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { Method } from '../../services/client/call.js';
import { fromServiceError } from '../../services/client/experiences-error.js';

/** A gRPC client without the care of ours: it sends what it is told, once, and on a connection of its own. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  async call<Request, Response>(
    method: Method<Request, Response>,
    request: NoInfer<Request>,
    options: RawCallOptions = {},
  ): Promise<Response> {
    return this.callBytes(method, method.requestSerialize(request), options);
  }

  /** For requests that no encoder would make. */
  async callBytes<Response>(
    method: Pick<Method<never, Response>, 'path' | 'responseDeserialize'>,
    bytes: Buffer,
    options: RawCallOptions = {},
  ): Promise<Response> {
    const metadata = new Metadata();
    for (const [key, value] of options.metadata ?? []) metadata.add(key, value);
    const deadline = Date.now() + (options.timeoutMs ?? TIMEOUT_DEFAULT_MS);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        (sent: Buffer) => sent,
        method.responseDeserialize,
        bytes,
        metadata,
        { deadline },
        (error, response) => {
          if (error !== null) reject(fromServiceError(error));
          else if (response === undefined)
            reject(new Error('a call ended without an answer and without an error'));
          else resolve(response);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

export interface RawCallOptions {
  /** Keys may repeat. */
  readonly metadata?: readonly (readonly [key: string, value: string])[];
  readonly timeoutMs?: number;
}

/** The pages of a list, each as the items it holds, until there is no next one. */
export async function readPages<Item>(
  read: (pageToken: string) => Promise<{ readonly items: readonly Item[]; readonly nextPageToken: string }>,
): Promise<readonly (readonly Item[])[]> {
  const pages: (readonly Item[])[] = [];
  let pageToken = '';
  do {
    const page = await read(pageToken);
    pages.push(page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && pages.length < PAGES_MAX);
  return pages;
}

const TIMEOUT_DEFAULT_MS = 15_000;
const PAGES_MAX = 1_000;
