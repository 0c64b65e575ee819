import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * A TCP proxy before a server that can lose answers: it hands a request on, waits until the server has answered, and cuts
 * the connection instead of handing the answer back.
 */
export interface ReplyCutter {
  readonly port: number;
  /** Loses the answers to the next so many requests that hold the text. */
  cut(text: string, times: number): void;
  /** How many answers are still to be lost. */
  left(): number;
  stop(): Promise<void>;
}

export async function startReplyCutter(serverPort: number): Promise<ReplyCutter> {
  let wanted = '';
  let left = 0;
  const open = new Set<Socket>();
  const server = createServer((caller) => {
    const upstream = connect(serverPort, '127.0.0.1');
    let losing = false;
    const close = () => {
      caller.destroy();
      upstream.destroy();
    };
    for (const socket of [caller, upstream]) {
      open.add(socket);
      socket.on('error', close); // The other side is cut as well.
      socket.on('close', () => {
        open.delete(socket);
        close();
      });
    }
    caller.on('data', (request) => {
      if (left > 0 && request.includes(wanted)) {
        left -= 1;
        losing = true;
      }
      upstream.write(request);
    });
    upstream.on('data', (answer) => {
      if (losing) close();
      else caller.write(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    port: address.port,
    cut(text, times) {
      wanted = text;
      left = times;
    },
    left: () => left,
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
