import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/**
 * A loopback port that nothing listens on. One connection is made and closed from the listening side, which leaves the port
 * in TIME_WAIT: for the next minute Linux gives it to nobody who asks for any port, but lets a server bind it by number. So
 * processes that look for ports at the same time do not get the same one.
 */
export async function freePort(): Promise<number> {
  const server = createServer((socket) => socket.end());
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('a TCP server has an address with a port');
  const { port } = address;
  const client = connect(port, LOOPBACK);
  client.resume();
  await once(client, 'close');
  server.close();
  await once(server, 'close');
  return port;
}
