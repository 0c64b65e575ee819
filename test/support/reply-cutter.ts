import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * A TCP proxy before a server that can lose answers: it hands a request on, waits until the server has answered, and cuts
 * the connection instead of handing the answer back, or holds it and everything after it on that connection.
 */
export interface ReplyCutter {
  readonly port: number;
  /** Loses the answers to the next so many requests that hold the text. */
  cut(text: string, times: number): void;
  /** How many answers are still to be lost. */
  left(): number;
  /** Holds the answers to all requests from now on that hold the text. */
  hold(text: string): void;
  /** How many answers are held. */
  held(): number;
  /** Holds no more answers; those that are held stay so. */
  holdNothing(): void;
  stop(): Promise<void>;
}

export async function startReplyCutter(serverPort: number): Promise<ReplyCutter> {
  let wanted = '';
  let left = 0;
  let wantedToHold: string | undefined;
  let held = 0;
  const open = new Set<Socket>();
  const server = createServer((caller) => {
    const upstream = connect(serverPort, '127.0.0.1');
    let losing = false;
    let holding: 'nothing' | 'the next answer' | 'all' = 'nothing';
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
      if (wantedToHold !== undefined && holding === 'nothing' && request.includes(wantedToHold)) {
        holding = 'the next answer';
      }
      upstream.write(request);
    });
    upstream.on('data', (answer) => {
      if (losing) close();
      else if (holding === 'nothing') caller.write(answer);
      else if (holding === 'the next answer') {
        holding = 'all';
        held += 1;
      }
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
    hold(text) {
      wantedToHold = text;
      held = 0;
    },
    held: () => held,
    holdNothing() {
      wantedToHold = undefined;
    },
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
