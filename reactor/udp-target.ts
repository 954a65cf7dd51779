// Where a UDP socket is to be bound or connected, as numbers: names resolved, ports found free, descriptors judged.
// udp-server.ts asks once, on the calling thread, before any thread opens its socket; udp-client.ts resolves its host.

import dns from 'node:dns/promises';
import { isIP } from 'node:net';
import { constants, networkInterfaces } from 'node:os';

import { AddonError, loadAddon, requireAddon } from '../addon/index.js';
import { ReactorError, type ReactorErrorCode } from './errors.js';
import type { UdpSpec } from './udp-service.js';

/** @throws ReactorError with the given code when the name has no address. */
export async function numericHost(host: string, code: ReactorErrorCode): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await dns.lookup(host)).address;
  } catch (cause) {
    throw new ReactorError(code, `cannot resolve the host '${host}'`, { cause });
  }
}

/** All addresses of this machine: IPv6 and IPv4 together where it has both. */
export function anyHost(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((own) => own ?? []);
  return addresses.some(({ family }) => family === 'IPv6') ? '::' : '0.0.0.0';
}

/**
 * The host an inherited socket is bound to: it has its family already, and answers must leave in that family.
 * undefined without the addon. @throws ReactorError REACTOR_LISTEN_FAILED
 */
export function inheritedHost(fd: number): string | undefined {
  const addon = loadAddon();
  if (addon === null) return undefined;
  try {
    const address = addon.localAddress(fd);
    if ('host' in address) return address.host;
  } catch (cause) {
    throw new ReactorError('REACTOR_LISTEN_FAILED', `descriptor ${fd} is no bound socket`, { cause });
  }
  throw new ReactorError('REACTOR_LISTEN_FAILED', `descriptor ${fd} is a Unix socket, not a UDP one`);
}

/**
 * Asks for the port without SO_REUSEPORT: sockets with it would join whoever has the port already.
 * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED
 */
export function refuseTakenPort(host: string, port: number, ipv6Only: boolean): void {
  const addon = requireAddon();
  try {
    addon.closeFd(addon.bindUdp({ host, port, ipv6Only }).fd);
  } catch (cause) {
    if (!(cause instanceof AddonError)) throw cause;
    const isInUse = cause.errno === constants.errno.EADDRINUSE;
    const code = isInUse ? 'REACTOR_PORT_IN_USE' : 'REACTOR_LISTEN_FAILED';
    throw new ReactorError(code, cause.message, { cause });
  }
}

/** Each start of a thread gets a descriptor of its own, so that the given one survives it. */
export function withOwnFd(spec: UdpSpec): UdpSpec {
  const addon = loadAddon();
  return spec.fd === null || addon === null ? spec : { ...spec, fd: addon.dupFd(spec.fd) };
}
