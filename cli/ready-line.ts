// The one line that says: work is accepted now, and where. Programs read the JSON form, people the other.
// serve.ts and serve-processes.ts print it, once.

import type { Io } from './main.js';
import type { ServeOptions } from './serve-options.js';

/** Where each kind of listener really listens; the keys that apply. */
export interface ListenMap {
  readonly tcp?: string;
  readonly http?: string;
  readonly udp?: string;
  readonly unix?: string;
  readonly rpc?: string;
  readonly metrics?: string;
}

/** To be called once, when work is really accepted. */
export function printReady(io: Io, listen: ListenMap, { json, tlsCert }: ServeOptions): void {
  const { pid } = process;
  io.stdout.write(`${json ? readyJson(pid, listen) : readyText(pid, listen, tlsCert !== null)}\n`);
}

export function readyJson(pid: number, listen: ListenMap): string {
  return JSON.stringify({ event: 'ready', pid, listen });
}

/** For people: a line for each listener, with what to type. */
export function readyText(pid: number, listen: ListenMap, isTls: boolean): string {
  const scheme = isTls ? 'https' : 'http';
  const lines = [
    listen.http === undefined ? null : `  HTTP     ${scheme}://${reachable(listen.http)}/`,
    listen.tcp === undefined ? null : `  TCP      ${listen.tcp}  (TLV frames${isTls ? ' over TLS' : ''})`,
    listen.unix === undefined ? null : `  Unix     ${listen.unix}  (TLV frames)`,
    listen.udp === undefined ? null : `  UDP      ${listen.udp}  (TLV datagrams)`,
    listen.rpc === undefined
      ? null
      : `  RPC      ${listen.rpc}  (reactor-net rpc list --target ${reachable(listen.rpc)}${isTls ? ' --tls-ca FILE' : ''})`,
    listen.metrics === undefined ? null : `  metrics  http://${reachable(listen.metrics)}/metrics`,
  ];
  const shown = lines.filter((line) => line !== null);
  return [`reactor-net serves (process ${pid}); Ctrl-C drains and stops`, ...shown].join('\n');
}

/** An address a browser can open: the wildcard addresses mean this machine too. */
function reachable(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, 'localhost');
}
