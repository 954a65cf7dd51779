// The address of a client behind a balancer, as a PROXY header gave it, for code that asks the socket.
// Connections keep it themselves; http-service.ts puts it on the socket that the application gets to see.

import { isIP } from 'node:net';
import type net from 'node:net';

import type { ProxyHeader } from './proxy-protocol.js';

export interface ClientAddress {
  readonly address: string;
  readonly port: number;
}

/** By what isIP answers; a Unix client has none. */
const FAMILIES: Readonly<Record<number, string>> = { 4: 'IPv4', 6: 'IPv6' };

/** The client a header relays; undefined when the balancer speaks for itself or does not say. */
export function relayedClient({
  command,
  sourceAddress,
  sourcePort,
}: ProxyHeader): ClientAddress | undefined {
  const isRelayed = command === 'proxy' && sourceAddress !== '';
  return isRelayed ? { address: sourceAddress, port: sourcePort } : undefined;
}

/** Puts the client's address where applications look for it, over what the kernel says of the balancer. */
export function presentClient(socket: net.Socket, { address, port }: ClientAddress): void {
  Object.defineProperties(socket, {
    remoteAddress: { value: address },
    remotePort: { value: port },
    remoteFamily: { value: FAMILIES[isIP(address)] },
  });
}

/** Whom `presentClient` put on this socket. */
export function presentedClient(socket: net.Socket): ClientAddress | undefined {
  if (!Object.hasOwn(socket, 'remoteAddress')) return undefined;
  const { remoteAddress: address, remotePort: port } = socket;
  return address === undefined || port === undefined ? undefined : { address, port };
}
