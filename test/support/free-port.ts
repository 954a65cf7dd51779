// Ports for servers that are told where to listen before they run, or have to come back to where they were. They lie below
// the range from which the kernel gives out ports itself, so that neither a connection nor a listener on port 0 of a test
// beside takes one meanwhile; each process begins somewhere else and gives none twice.

import { once } from 'node:events';
import { createServer } from 'node:net';

const LOWEST = 12_000;
/** Linux gives out 32768 and above by itself. */
const COUNT = 20_000;
const ATTEMPTS = 1000;

let next = Math.floor(Math.random() * COUNT);

/** On 127.0.0.1. @throws Error when nothing is free */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = LOWEST + next;
    next = (next + 1) % COUNT;
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${ATTEMPTS} ports is free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}
