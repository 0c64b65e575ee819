import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Closes the connections of a server that stops as they become idle; answers what ends that. Node closes those that are idle
 * at the time. One that was busy stays open after its answer, and one that was only opened, as clients do for requests to
 * come, counts as busy.
 */
export function closeIdle(server: Server, connections: ReadonlySet<Socket>): () => void {
  const timer = setInterval(() => {
    server.closeIdleConnections();
    for (const connection of connections) if (connection.bytesRead === 0) connection.destroy();
  }, CHECK_MS);
  return () => clearInterval(timer);
}

/** The connections that a server has open. */
export function openConnections(server: Server): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  server.on('connection', (connection: Socket) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
  });
  return connections;
}

const CHECK_MS = 50;
