// The values of --tcp, --http, --udp, --unix and --metrics, in all their spellings.
// serve-options.ts reads flags with it. Pure.

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

/** A socket that systemd opened, by the FileDescriptorName= of its unit. */
export interface ListenActivated {
  readonly activated: string;
}

/** sun_path on Linux, without its ending zero. */
const UNIX_PATH_BYTES_MAX = 107;

/** `H:P`, `[::1]:P`, `:P` and `P` (with the given host), `fd:N`, `systemd:NAME`, or `off`. */
export function readListen(
  hostDefault: string,
): (text: string) => ListenAddress | ListenDescriptor | ListenActivated | 'off' {
  return (text) => {
    const given = readGiven(text);
    if (given !== null) return given;
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

/** A path, `fd:N`, `systemd:NAME`, or `off`. */
export function readListenPath(text: string): ListenPath | ListenDescriptor | ListenActivated | 'off' {
  const given = readGiven(text);
  if (given !== null) return given;
  if (text !== '' && Buffer.byteLength(text) <= UNIX_PATH_BYTES_MAX) return { path: text };
  throw new UsageError(`"${text}" should be a path of 1 to ${UNIX_PATH_BYTES_MAX} bytes, or off`);
}

/** What is no address: somebody else opened the socket, or there is none. */
function readGiven(text: string): ListenDescriptor | ListenActivated | 'off' | null {
  if (text === 'off') return 'off';
  const [, kind, value] = /^(fd|systemd):(.+)$/.exec(text) ?? [];
  if (kind === 'systemd' && value !== undefined) return { activated: value };
  return kind === 'fd' && /^\d+$/.test(value ?? '') ? { fd: Number(value) } : null;
}
