// The servers that suites start: ours by transport, and the peers they are held against.
// Only how each is started is told here; subject.ts starts them.

import { pathToFileURL } from 'node:url';
import { EPOLL_ECHO, LAUNCHER, peer, UDP_ECHO } from './paths.js';
import type { SubjectSpec } from './subject.js';

/** Every transport of `serve`; one that this build does not know is reported as missing. */
export const TRANSPORTS = ['net', 'epoll'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Our server with the one listener given; naming one leaves the others off. */
export function reactorNet(
  listener: 'tcp' | 'http' | 'udp',
  threads: number,
  transport: Transport = 'net',
  serveFlags: readonly string[] = [],
  name: string = `reactor-net/${transport}`,
): SubjectSpec {
  const flags = [`--${listener}`, '127.0.0.1:0', '--threads', String(threads), '--transport', transport];
  return {
    name,
    command: process.execPath,
    args: [LAUNCHER, 'serve', ...flags, '--log-level', 'error', '--json', ...serveFlags],
  };
}

export function nodePeer(name: string, file: string, args: readonly string[] = []): SubjectSpec {
  return { name, command: process.execPath, args: [peer(file), ...args] };
}

/** The same server, which then collects its garbage and tells its heap on SIGUSR2. */
export function withMemoryAgent(spec: SubjectSpec): SubjectSpec {
  // Through the environment, because workers may be given flags of their own.
  return { ...spec, env: { NODE_OPTIONS: `--import=${pathToFileURL(peer('memory-agent')).href}` } };
}

export const NODE_NET: SubjectSpec = nodePeer('node:net', 'node-net-echo');
export const NODE_HTTP: SubjectSpec = nodePeer('node:http', 'node-http-hello');
export const NODE_DGRAM: SubjectSpec = nodePeer('node:dgram', 'node-dgram-echo');
export const C_EPOLL: SubjectSpec = { name: 'C epoll', command: EPOLL_ECHO, args: [] };
export const C_RECVMMSG: SubjectSpec = { name: 'C recvmmsg', command: UDP_ECHO, args: [] };
