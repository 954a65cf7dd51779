// Runs the RPC load generator (bench/rpc/load.ts) against a subject and measures both sides; generator.ts has how.

import { fileURLToPath } from 'node:url';
import { type Generator, measureGated, startGenerator } from './generator.js';
import type { Sample } from './sample.js';
import type { Subject } from './subject.js';

const PROGRAM = fileURLToPath(new URL('./rpc/load.js', import.meta.url));

export interface RpcLoad {
  kind: 'rpc' | 'grpc' | 'http' | 'tlv';
  /** Of our own clients: the one of the server. */
  transport: 'net' | 'epoll';
  mode: 'unary' | 'tail' | 'feed' | 'hold';
  connections: number;
  /** Calls at a time on each connection. */
  depth: number;
  payloadBytes: number;
  warmupSeconds: number;
  durationSeconds: number;
  pinTo: number | null;
}

/** @throws Error when an answer was wrong or the generator failed */
export function measureRpc(subject: Subject, load: RpcLoad): Promise<Sample> {
  return measureGated(subject, startRpcLoad(subject, load), load.warmupSeconds + load.durationSeconds);
}

export function startRpcLoad(subject: Subject, load: RpcLoad): Generator {
  const { host, port } = subject.address(load.kind === 'http' ? 'http' : 'tcp');
  const settings = {
    kind: load.kind,
    transport: load.transport,
    host,
    port,
    mode: load.mode,
    connections: load.connections,
    depth: load.depth,
    payload: load.payloadBytes,
    warmup: load.warmupSeconds,
    duration: load.durationSeconds,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  return startGenerator(process.execPath, [PROGRAM, ...args], load.pinTo);
}
