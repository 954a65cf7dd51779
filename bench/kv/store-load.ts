// Runs the KV load generator (bench/kv/load.ts) against a store and measures both sides; generator.ts has how.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Generator, measureGated, startGenerator } from '../generator.js';
import { JsonLines } from '../json-lines.js';
import type { Sample } from '../sample.js';
import { cleanEnvironment, type Subject } from '../subject.js';
import type { StoreKind } from './load-clients.js';
import { OURS, storeAddress } from './stores.js';

const PROGRAM = fileURLToPath(new URL('./load.js', import.meta.url));
const FDATASYNC = fileURLToPath(new URL('./fdatasync.js', import.meta.url));
const FDATASYNC_GRACE_MS = 60_000;

export interface StoreLoad {
  readonly mode: 'put' | 'get';
  readonly clients: number;
  readonly payloadBytes: number;
  readonly keys: number;
  /** Puts every key first: gets need it once. */
  readonly isFilling?: boolean;
  /** Of 64 clients, ahead of everything, so that the generator is compiled. Default 0. */
  readonly crowdSeconds?: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  /** Puts per second of an open loop. */
  readonly rate?: number;
  readonly pinTo: number | null;
}

/** @throws Error when an answer was wrong or the generator failed */
export async function measureStore(subject: Subject, load: StoreLoad): Promise<Sample> {
  const kind = subject.name === OURS ? 'kv' : 'etcd';
  const generator = startStoreLoad(kind, await storeAddress(subject), load);
  return measureGated(subject, generator, load.warmupSeconds + load.durationSeconds);
}

export function startStoreLoad(kind: StoreKind, address: string, load: StoreLoad): Generator {
  const settings = {
    kind,
    address,
    mode: load.mode,
    clients: load.clients,
    payload: load.payloadBytes,
    keys: load.keys,
    fill: load.isFilling === true,
    crowd: load.crowdSeconds ?? 0,
    warmup: load.warmupSeconds,
    duration: load.durationSeconds,
    rate: load.rate ?? 0,
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  return startGenerator(process.execPath, [PROGRAM, ...args], load.pinTo);
}

export interface DiskSpeed {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/** Microseconds that 4 KiB written and fdatasync take while `writers` do it at once. */
export async function measureFdatasync(folder: string, writers: number, seconds: number): Promise<DiskSpeed> {
  const child = spawn(process.execPath, [FDATASYNC, folder, String(writers), String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: cleanEnvironment(),
  });
  const exited = once(child, 'exit');
  try {
    const result = await new JsonLines(child.stdout).next('result', seconds * 1000 + FDATASYNC_GRACE_MS);
    return { p50: Number(result['p50_us']), p99: Number(result['p99_us']), count: Number(result['count']) };
  } finally {
    child.kill('SIGKILL'); // it has nothing to put in order
    await exited;
  }
}
