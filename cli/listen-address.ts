// The value of --tcp, --http, --udp and --metrics: HOST:PORT in its spellings, and back to text.
// serve-options.ts reads flags with it; ready-line.ts writes what a server really listens on. Pure.

import { isIP } from 'node:net';
import { UsageError } from './flags.js';

export interface ListenAddress {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

export interface ListenPath {
  readonly path: string;
}

/** A descriptor that the process inherited and that listens already. */
export interface ListenDescriptor {
  readonly fd: number;
}

/** sun_path on Linux, without its ending zero. */
const UNIX_PATH_BYTES_MAX = 107;

/** `H:P`, `[::1]:P`, `:P` and `P` (with the given host), `fd:N`, or `off`. */
export function readListen(hostDefault: string): (text: string) => ListenAddress | ListenDescriptor | 'off' {
  return (text) => {
    if (text === 'off') return 'off';
    const fd = /^fd:(\d+)$/.exec(text)?.[1];
    if (fd !== undefined) return { fd: Number(fd) };
    const match = /^(?:\[([^\]]+)\]:|([^:[\]]*):)?(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    const host = match?.[1] ?? (match?.[2] || hostDefault);
    const bracketsHoldIpv6 = match?.[1] === undefined || isIP(match[1]) === 6;
    if (port <= 65_535 && bracketsHoldIpv6) return { host, port };
    throw new UsageError(
      `"${text}" should be HOST:PORT, such as 127.0.0.1:9000, [::1]:9000 or :9000, with a port from 0 to 65535, or off`,
    );
  };
}

/** A path, `fd:N`, or `off`. */
export function readListenPath(text: string): ListenPath | ListenDescriptor | 'off' {
  if (text === 'off') return 'off';
  const fd = /^fd:(\d+)$/.exec(text)?.[1];
  if (fd !== undefined) return { fd: Number(fd) };
  if (text !== '' && Buffer.byteLength(text) <= UNIX_PATH_BYTES_MAX) return { path: text };
  throw new UsageError(`"${text}" should be a path of 1 to ${UNIX_PATH_BYTES_MAX} bytes, or off`);
}

/** `127.0.0.1:9000` or `[::1]:9000`. */
export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
