// How both connections of a relay behave, and where the proxy leads.

import type { ConnectionOptions } from 'reactor-net/reactor';

const { UPSTREAM_HOST = '127.0.0.1', UPSTREAM_PORT = '9000' } = process.env;

export const UPSTREAM: { host: string; port: number } = {
  host: UPSTREAM_HOST,
  port: Number(UPSTREAM_PORT),
};

export const RELAY: ConnectionOptions = {
  codec: { kind: 'raw' },
  allowHalfOpen: true,
  pauseReadingWhenFull: false, // a full output stops the other connection's input instead, see handlers.ts
  hardCapBytes: 512 * 1024, // never reached: input stops at highWaterBytes, 64 KiB
};
