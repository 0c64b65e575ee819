import { Client, credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { Fault } from '../../services/domain/fault.js';
import { createLogger } from '../../services/runtime/logger.js';
import { toStatus } from '../../services/server/status.js';

/** What becomes of a call: it is passed on; passed on and its answer is lost; or shed, with a time to wait. */
export type Luck = 'pass' | 'lose' | 'shed';

/** A relay before a service: as a balancer, which passes calls on, loses answers, and sheds load. */
export interface UnluckyRelay {
  readonly address: string;
  /** What becomes of the next calls of a method, in turn; those after them pass. */
  next(path: string, ...luck: readonly Luck[]): void;
  stop(): Promise<void>;
}

/** For unary methods by their paths, `/experiences.v1.UsageService/RecordUsage` and so on. */
export async function startUnluckyRelay(
  serviceAddress: string,
  paths: readonly string[],
): Promise<UnluckyRelay> {
  const client = new Client(serviceAddress, credentials.createInsecure());
  const server = new Server();
  const waiting = new Map<string, Luck[]>();
  for (const path of paths) {
    server.register<Buffer, Buffer>(
      path,
      (call: { readonly request: Buffer; readonly metadata: Metadata }, callback: Callback) => {
        const luck = waiting.get(path)?.shift() ?? 'pass';
        if (luck === 'shed') {
          const fault = new Fault('OVERLOADED', 'There is too much to do.', { retryAfterMs: 60_000 });
          callback(toStatus(fault, createLogger('test', 'error'), path));
          return;
        }
        const metadata = new Metadata();
        for (const [key, value] of Object.entries(call.metadata.getMap()))
          if (key !== 'user-agent') metadata.set(key, value);
        client.makeUnaryRequest<Buffer, Buffer>(path, same, same, call.request, metadata, (error, answer) => {
          if (luck === 'lose') callback(Object.assign(new Error('lost'), { code: status.UNAVAILABLE }));
          else callback(error, answer);
        });
      },
      same,
      same,
      'unary',
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    next: (path, ...luck) => waiting.set(path, [...luck]),
    async stop() {
      client.close();
      server.forceShutdown();
    },
  };
}

type Callback = (error: Partial<Error & { code: number }> | null, answer?: Buffer) => void;

function same(bytes: Buffer): Buffer {
  return bytes;
}
