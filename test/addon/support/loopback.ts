// What the addon tests share: a connected socket pair over loopback, the count of open descriptors,
// and the matcher for a native failure.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { constants } from 'node:os';

import { AddonError } from '../../../addon/index.js';

export interface SocketPair extends AsyncDisposable {
  readonly client: net.Socket;
  readonly server: net.Socket;
}

/** Two ends of one TCP connection; disposing destroys both and waits until they are closed. */
export async function connectPair(): Promise<SocketPair> {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as net.AddressInfo;
  const client = net.connect(port, '127.0.0.1');
  const [[server]] = (await Promise.all([once(listener, 'connection'), once(client, 'connect')])) as [
    [net.Socket],
    unknown[],
  ];
  listener.close();
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      await Promise.all([client, server].map((socket) => closeSocket(socket)));
    },
  };
}

async function closeSocket(socket: net.Socket): Promise<void> {
  if (socket.closed) return;
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
}

/** The number behind a socket of this thread; Node keeps it in a field it does not document. */
export function fdOf(socket: net.Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } | null };
  assert(handle !== null && handle.fd >= 0);
  return handle.fd;
}

export function openDescriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

/** A validator for assert.throws: AddonError with this errno, by name, and syscall. */
export function systemCallFailed(
  name: keyof typeof constants.errno,
  syscall: string,
): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof AddonError);
    assert.equal(error.code, 'ADDON_SYSTEM_CALL_FAILED');
    assert.equal(error.errno, constants.errno[name]);
    assert.equal(error.syscall, syscall);
    assert.match(error.message, new RegExp(`^${syscall} ${name}: `));
    return true;
  };
}

/** A validator for assert.throws: the argument called `name` was refused. */
export function invalidArgument(name: string): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof AddonError);
    assert.equal(error.code, 'ADDON_INVALID_ARGUMENT');
    assert.match(error.message, new RegExp(`^argument ${name} must be `));
    return true;
  };
}
