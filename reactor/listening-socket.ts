// Opens the listening sockets of a server: TCP through the addon where there is one, through node:net otherwise.
// listener.ts opens them on the main thread; acceptor.ts accepts from them on any thread.
// With the addon the descriptor belongs to us and outlives every net.Server on it, so accepting can be paused,
// shared or handed to a restarted thread while the kernel goes on queueing newcomers.

import dns from 'node:dns/promises';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import { constants } from 'node:os';

import { type Addon, AddonError } from '../addon/index.js';
import { ReactorError } from './errors.js';

export interface ListenTarget {
  /** Name or address. Default: all addresses, IPv6 and IPv4 (dual stack) where the system has both. */
  readonly host?: string | undefined;
  /** 0 picks a free port. */
  readonly port?: number | undefined;
  /** Unix socket path; a leading '\0' means the abstract namespace. */
  readonly path?: string | undefined;
  /** A descriptor that already listens (socket activation, a parent process). */
  readonly fd?: number | undefined;
  readonly backlog: number;
  readonly ipv6Only?: boolean | undefined;
  /** Node's own SO_REUSEPORT, for threads without the addon; see NODE_HAS_REUSE_PORT. */
  readonly reusePort?: boolean | undefined;
}

const [NODE_MAJOR = 0, NODE_MINOR = 0] = process.versions.node.split('.').map(Number);
/** Whether node:net can let threads share a port: from 22.12 and 23.1 on. */
export const NODE_HAS_REUSE_PORT: boolean =
  NODE_MAJOR > 23 || (NODE_MAJOR === 23 && NODE_MINOR >= 1) || (NODE_MAJOR === 22 && NODE_MINOR >= 12);

/** Where a server can be reached. */
export interface ListenAddress {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** Descriptors for `threads` listeners with SO_REUSEPORT, or one; `fds` belong to the caller. */
export interface ListeningDescriptors {
  readonly address: ListenAddress;
  readonly fds: readonly number[];
  /** The file of a Unix socket that we made; null for all others. */
  readonly socketFile: SocketFile | null;
}

/** A file in the file system, told from another one of the same name. */
export interface SocketFile {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
}

/**
 * Listens through the addon. With `reusePortCount` n, on n sockets that share one port.
 * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED
 */
export async function openDescriptors(
  addon: Addon,
  target: ListenTarget,
  reusePortCount: number,
): Promise<ListeningDescriptors> {
  if (target.fd !== undefined) {
    return { ...takeGiven(addon, target.fd), socketFile: null };
  }
  if (target.path !== undefined) {
    await removeStaleSocket(target.path);
    const fds = [listenOnPath(addon, target.path, target.backlog)];
    return { address: { path: target.path }, fds, socketFile: await socketFileAt(target.path) };
  }
  const hosts = await resolveHosts(target.host);
  const fds: number[] = [];
  try {
    const count = Math.max(1, reusePortCount);
    const first = listenOnFirst(addon, hosts, target, reusePortCount > 0);
    fds.push(first.fd);
    while (fds.length < count) {
      fds.push(listenOn(addon, first.host, { ...target, port: first.port }, true).fd);
    }
    return { address: { host: first.host, port: first.port }, fds, socketFile: null };
  } catch (error) {
    for (const fd of fds) addon.closeFd(fd);
    throw error;
  }
}

/**
 * Listens with node:net, where there is no addon. A socket file nobody listens on any more is removed first.
 * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED
 */
export async function listenWithNode(server: net.Server, target: ListenTarget): Promise<ListenAddress> {
  if (target.path !== undefined) await removeStaleSocket(target.path);
  const { host, port = 0, path, fd, backlog, ipv6Only = false, reusePort = false } = target;
  if (fd !== undefined) server.listen({ fd }, backlog);
  else if (path !== undefined) server.listen({ path, backlog });
  else {
    const options = { port, backlog, ipv6Only, reusePort, exclusive: true }; // reusePort: typed from Node 22 on
    server.listen(host === undefined ? options : { ...options, host });
  }
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw listenError(cause as NodeJS.ErrnoException, nameOf(target));
  }
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return { path: bound ?? path ?? '' };
  return { host: bound.address, port: bound.port };
}

/** "127.0.0.1:9000", "[::1]:9000" or a socket's path, for messages and ready lines. */
export function formatAddress(address: ListenAddress): string {
  if (address.path !== undefined) return address.path;
  const host = address.host ?? '';
  return `${host.includes(':') ? `[${host}]` : host}:${address.port ?? 0}`;
}

function takeGiven(addon: Addon, fd: number): { address: ListenAddress; fds: readonly number[] } {
  try {
    return { address: addon.localAddress(fd), fds: [addon.dupFd(fd)] };
  } catch (cause) {
    throw listenError(cause as NodeJS.ErrnoException, `descriptor ${fd}`);
  }
}

function listenOnFirst(
  addon: Addon,
  hosts: readonly string[],
  target: ListenTarget,
  reusePort: boolean,
): { fd: number; port: number; host: string } {
  let failure: unknown;
  for (const host of hosts) {
    try {
      if (reusePort) refuseTakenPort(addon, host, target);
      return { ...listenOn(addon, host, target, reusePort), host };
    } catch (error) {
      failure ??= error;
      if ((error as ReactorError).code === 'REACTOR_PORT_IN_USE') break;
    }
  }
  throw failure;
}

function listenOn(
  addon: Addon,
  host: string,
  target: ListenTarget,
  reusePort: boolean,
): { fd: number; port: number } {
  const { port = 0, backlog, ipv6Only = false } = target;
  try {
    return addon.listenTcp({ host, port, backlog, reusePort, ipv6Only });
  } catch (cause) {
    throw listenError(cause as NodeJS.ErrnoException, formatAddress({ host, port }));
  }
}

function listenOnPath(addon: Addon, path: string, backlog: number): number {
  try {
    return addon.listenUnix({ path, backlog });
  } catch (cause) {
    throw listenError(cause as NodeJS.ErrnoException, path);
  }
}

/** Asks for the port without SO_REUSEPORT: two servers started by mistake must not share it in silence. */
function refuseTakenPort(addon: Addon, host: string, target: ListenTarget): void {
  const { port = 0, ipv6Only = false } = target;
  if (port === 0) return;
  try {
    addon.closeFd(addon.listenTcp({ host, port, backlog: 1, ipv6Only }).fd);
  } catch (cause) {
    throw listenError(cause as NodeJS.ErrnoException, formatAddress({ host, port }));
  }
}

async function resolveHosts(host: string | undefined): Promise<readonly string[]> {
  if (host === undefined || host === '') return ['::', '0.0.0.0'];
  if (net.isIP(host) !== 0) return [host];
  try {
    const found = await dns.lookup(host, { all: true, verbatim: true });
    return found.map(({ address }) => address);
  } catch (cause) {
    throw new ReactorError('REACTOR_LISTEN_FAILED', `cannot resolve the host '${host}'`, { cause });
  }
}

/**
 * Finds a port for threads that each listen with Node's own SO_REUSEPORT, and makes sure that it is no
 * stranger's: with that option two servers started by mistake would share it in silence.
 * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED
 */
export async function reservePort(target: ListenTarget): Promise<ListenAddress> {
  const server = net.createServer();
  try {
    return await listenWithNode(server, target);
  } finally {
    server.close();
  }
}

/** Removes the file unless it is another one by now: a newer server's, at the same path. */
export async function removeSocketFile({ path, device, inode }: SocketFile): Promise<void> {
  const now = await fs.lstat(path).catch(() => null); // gone: somebody was tidier than we
  if (now !== null && now.dev === device && now.ino === inode) await fs.rm(path, { force: true });
}

async function socketFileAt(path: string): Promise<SocketFile | null> {
  if (path.startsWith('\0')) return null;
  const stat = await fs.lstat(path).catch(() => null); // gone already: then there is nothing to remove
  return stat === null ? null : { path, device: stat.dev, inode: stat.ino };
}

async function removeStaleSocket(path: string): Promise<void> {
  if (path.startsWith('\0')) return;
  const stat = await fs.lstat(path).catch(() => null);
  if (stat === null) return;
  if (!stat.isSocket())
    throw new ReactorError('REACTOR_PORT_IN_USE', `${path} is in use: a file that is no socket`);
  const probe = net.connect({ path });
  const isAlive = await new Promise<boolean>((resolve) => {
    probe.once('connect', () => resolve(true));
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  probe.destroy();
  if (!isAlive) await fs.unlink(path);
}

function listenError(cause: NodeJS.ErrnoException, where: string): ReactorError {
  if (cause instanceof ReactorError) return cause;
  const inUse =
    cause.code === 'EADDRINUSE' ||
    (cause instanceof AddonError && cause.errno === constants.errno.EADDRINUSE);
  return inUse
    ? new ReactorError('REACTOR_PORT_IN_USE', `${where} is in use`, { cause })
    : new ReactorError('REACTOR_LISTEN_FAILED', `cannot listen on ${where}: ${cause.message}`, { cause });
}

function nameOf(target: ListenTarget): string {
  if (target.path !== undefined) return target.path;
  if (target.fd !== undefined) return `descriptor ${target.fd}`;
  return formatAddress({ host: target.host ?? '*', port: target.port ?? 0 });
}
