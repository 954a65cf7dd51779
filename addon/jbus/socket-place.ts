// Where two unrelated processes meet for a channel over a stream: a socket file named after the key, in a folder that
// only this user may enter. No addon is needed. A file whose process has died is recognised by refusing, and replaced.

import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { JbusError } from './errors.js';
import { keyText } from './keys.js';

/** Those that were not asked for are sent away; more at a time are not let in. */
const CALLERS_MAX = 4;

/** The socket file of a key. @throws JbusError JBUS_FORBIDDEN: the folder belongs to another user, or is open to them. */
export function socketPath(key: number): string {
  const userId = process.geteuid?.() ?? 0;
  const folder = path.join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `reactor-net-jbus-${userId}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const status = lstatSync(folder);
  if (!status.isDirectory() || status.uid !== userId || (status.mode & 0o077) !== 0) {
    throw new JbusError('JBUS_FORBIDDEN', `${folder} is no folder of user ${userId} alone`);
  }
  return path.join(folder, `${keyText(key)}.sock`);
}

/**
 * Waits at the key's place; `onCaller` gets the stream of whoever comes, until the server is closed, which gives the
 * place up.
 * @throws JbusError (as rejection) JBUS_KEY_IN_USE: somebody waits there already; JBUS_FORBIDDEN.
 */
export async function waitAtPlace(key: number, onCaller: (stream: Socket) => void): Promise<Server> {
  const place = socketPath(key);
  const server = createServer((stream) => {
    stream.on('error', () => {}); // 'close' follows
    onCaller(stream);
  });
  server.maxConnections = CALLERS_MAX;
  try {
    await listen(server, place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw asJbusError(error, 'bind');
    const occupant = await tryConnect(place);
    occupant?.destroy();
    if (occupant !== undefined) {
      throw new JbusError('JBUS_KEY_IN_USE', `somebody waits at ${place}`, { cause: error });
    }
    rmSync(place, { force: true });
    await listen(server, place);
  }
  return server;
}

/** @throws JbusError (as rejection) JBUS_NO_SEGMENT: nobody waits there; JBUS_FORBIDDEN. */
export async function goToPlace(key: number): Promise<Socket> {
  const place = socketPath(key);
  const stream = await tryConnect(place);
  if (stream !== undefined) return stream;
  throw new JbusError('JBUS_NO_SEGMENT', `nobody waits at ${place}`);
}

async function listen(server: Server, place: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Undefined when nobody listens. */
async function tryConnect(place: string): Promise<Socket | undefined> {
  return await new Promise((resolve) => {
    const stream = connect(place);
    stream.on('error', () => resolve(undefined)); // later ones are followed by 'close'
    stream.once('connect', () => resolve(stream));
  });
}

function asJbusError(error: unknown, syscall: string): JbusError {
  const { message, errno } = error as NodeJS.ErrnoException;
  const options = errno === undefined ? {} : { errno: Math.abs(errno) };
  return new JbusError('JBUS_SYSTEM_CALL_FAILED', message, { cause: error, syscall, ...options });
}
