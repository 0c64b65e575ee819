import { connect } from 'node:net';

/**
 * Sends bytes as they are, which no HTTP client would, and answers everything that comes back until the other side closes,
 * or is silent for `silenceMs`.
 */
export async function sendRaw(address: string, bytes: string, silenceMs = 1_000): Promise<string> {
  const colon = address.lastIndexOf(':');
  const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  socket.setTimeout(silenceMs, () => socket.destroy());
  socket.write(Buffer.from(bytes, 'latin1'));
  return new Promise((resolve) => {
    // A reset after the answer is how a server refuses to read on.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(received).toString('latin1')));
  });
}
