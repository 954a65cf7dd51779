// What the Node peers share: the ready line, the same as that of `reactor-net serve`, and an end on SIGTERM.
// subject.ts reads the line and sends the signal.

import type { Server } from 'node:net';

/**
 * Prints the ready line for `127.0.0.1:port`; SIGTERM and SIGINT close the server and end the process.
 */
export function serveUntilSignalled(
  server: Server | { close(): unknown },
  listener: 'tcp' | 'http' | 'udp',
  port: number,
): void {
  const stop = (): void => {
    server.close();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  console.log(
    JSON.stringify({ event: 'ready', pid: process.pid, listen: { [listener]: `127.0.0.1:${port}` } }),
  );
}
