import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** The way to a service, which can stop at a message, and end. */
export interface ServiceLine {
  /** `host:port`. */
  readonly address: string;
  /** Messages that hold the text, and all behind them on their connection, do not arrive any more. */
  holdMessages(text: string): void;
  /** Answers to messages that hold the text, and all behind them, do not come back any more. */
  holdAnswers(text: string): void;
  /** How many connections are held. */
  held(): number;
  /** The service is away: what is open ends, and what is new ends at once. */
  cut(): void;
  /** Holds nothing more, and the service is there; what is held stays so. */
  restore(): void;
  stop(): Promise<void>;
}

export async function startServiceLine(serviceAddress: string): Promise<ServiceLine> {
  const servicePort = Number(serviceAddress.split(':').at(-1));
  let wanted: { readonly text: string; readonly part: 'messages' | 'answers' } | undefined;
  let isCut = false;
  let held = 0;
  const open = new Set<Socket>();
  const server = createServer((caller) => {
    if (isCut) {
      caller.destroy();
      return;
    }
    const service = connect(servicePort, '127.0.0.1');
    let isHeld = false;
    const hold = (): void => {
      if (!isHeld) held += 1;
      isHeld = true;
    };
    let isNextHeld = false;
    const close = (): void => {
      caller.destroy();
      service.destroy();
    };
    for (const socket of [caller, service]) {
      open.add(socket);
      socket.on('error', close); // The other side ends too.
      socket.on('close', () => {
        open.delete(socket);
        close();
      });
    }
    caller.on('data', (message) => {
      const isWanted = wanted !== undefined && message.includes(wanted.text);
      if (isWanted && wanted?.part === 'messages') hold();
      if (isWanted && wanted?.part === 'answers') isNextHeld = true;
      if (!isHeld || isNextHeld) service.write(message);
    });
    service.on('data', (answer) => {
      if (isNextHeld) hold();
      if (!isHeld) caller.write(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    address: `127.0.0.1:${address.port}`,
    holdMessages(text) {
      wanted = { text, part: 'messages' };
    },
    holdAnswers(text) {
      wanted = { text, part: 'answers' };
    },
    held: () => held,
    cut() {
      isCut = true;
      for (const socket of open) socket.destroy();
    },
    restore() {
      isCut = false;
      wanted = undefined;
    },
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
