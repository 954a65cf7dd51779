// The sockets a process master binds and its processes inherit: TCP and Unix sockets that listen, UDP ones.
// Bound once and kept until the command ends, so that restarts and reloads never refuse anybody.

import { lookup } from 'node:dns/promises';
import { rmSync } from 'node:fs';
import { type Addon, addonMissingReason, loadAddon } from '../addon/index.js';
import { formatAddress, LISTEN_BACKLOG, openDescriptors, ReactorError } from '../reactor/index.js';
import type { ListenAddress, ListenDescriptor, ListenPath } from './listen-address.js';
import { explained } from './serve-app.js';
import type { ServeOptions } from './serve-options.js';

export interface BoundSocket {
  /** The flag that asked for it, and the key in the ready line. */
  readonly name: 'tcp' | 'http' | 'udp' | 'unix' | 'rpc';
  readonly fd: number;
  readonly address: string;
  close(): void;
}

export type BoundSockets = readonly BoundSocket[];

/** @throws Error whose message names the flag; nothing stays bound then */
export async function bindSockets(options: ServeOptions): Promise<BoundSockets> {
  const addon = loadAddon();
  if (addon === null) throw new Error(`--processes: needs the native addon: ${addonMissingReason()}`);
  const { tcp, http, udp, unix, rpc } = options;
  const sockets: BoundSocket[] = [];
  try {
    if (tcp !== null) sockets.push(await bindListening(addon, 'tcp', tcp));
    if (http !== null) sockets.push(await bindListening(addon, 'http', http));
    if (unix !== null) sockets.push(await bindListening(addon, 'unix', unix));
    if (rpc !== null) sockets.push(await bindListening(addon, 'rpc', rpc));
    if (udp !== null) sockets.push(await bindUdp(addon, udp));
    return sockets;
  } catch (error) {
    for (const socket of sockets) socket.close();
    throw error;
  }
}

async function bindListening(
  addon: Addon,
  name: 'tcp' | 'http' | 'unix' | 'rpc',
  target: ListenAddress | ListenPath | ListenDescriptor,
): Promise<BoundSocket> {
  try {
    const { address, fds } = await openDescriptors(addon, { ...target, backlog: LISTEN_BACKLOG }, 0);
    const [fd] = fds;
    if (fd === undefined) throw new ReactorError('REACTOR_LISTEN_FAILED', 'no socket was opened');
    const close = (): void => {
      addon.closeFd(fd);
      if ('path' in target) rmSync(target.path, { force: true });
    };
    return { name, fd, address: formatAddress(address), close };
  } catch (error) {
    throw explained(`--${name}`, error);
  }
}

async function bindUdp(addon: Addon, target: ListenAddress | ListenDescriptor): Promise<BoundSocket> {
  try {
    if ('fd' in target) {
      const fd = addon.dupFd(target.fd);
      return {
        name: 'udp',
        fd,
        address: formatAddress(addon.localAddress(fd)),
        close: () => addon.closeFd(fd),
      };
    }
    const { address: host } = await lookup(target.host);
    const { fd, port } = addon.bindUdp({ host, port: target.port });
    return { name: 'udp', fd, address: formatAddress({ host, port }), close: () => addon.closeFd(fd) };
  } catch (error) {
    throw explained('--udp', error);
  }
}
