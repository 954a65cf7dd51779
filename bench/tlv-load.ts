// Runs the native load generator (bench/native/) against a subject and measures both sides.
// generator.ts has what every generator does.

import { assertClean, type Generator, measureGated, RESULT_GRACE_MS, startGenerator } from './generator.js';
import { TLV_LOAD } from './paths.js';
import type { Sample } from './sample.js';
import type { Subject } from './subject.js';

const CONNECT_TIMEOUT_MS = 30_000;

export interface TlvLoad {
  /** 'udp' is the closed loop over UDP. */
  mode: 'closed' | 'rate' | 'churn' | 'fetch' | 'udp';
  connections: number;
  depth: number;
  /** Of every request and its reply; in mode fetch of the reply alone. */
  payloadBytes: number;
  /** Requests per second, mode rate only. */
  rate?: number;
  /** Connections to be made within the duration, mode churn only; without it as many as there is time for. */
  visits?: number;
  warmupSeconds: number;
  durationSeconds: number;
  pinTo: number | null;
}

/** @throws Error when a reply was wrong, or over TCP missing, the server stalled, or the generator failed. */
export function measureTlv(subject: Subject, load: TlvLoad): Promise<Sample> {
  const generator = startTlvLoad(subject, load.pinTo, {
    mode: load.mode,
    connections: load.connections,
    depth: load.depth,
    payload: load.payloadBytes,
    warmup: load.warmupSeconds,
    duration: load.durationSeconds,
    ...(load.rate === undefined ? {} : { rate: load.rate }),
    ...(load.visits === undefined ? {} : { visits: load.visits }),
  });
  return measureGated(subject, generator, load.warmupSeconds + load.durationSeconds);
}

/** Connections that were opened, proven by one echo each, and now do nothing. */
export interface IdleConnections {
  readonly connected: number;
  /** Closes them; throws when one of them ended or spoke before. */
  close(): Promise<void>;
}

export async function holdIdle(subject: Subject, connections: number): Promise<IdleConnections> {
  const generator = startTlvLoad(subject, null, { mode: 'idle', connections });
  try {
    const ready = await generator.lines.next('ready', CONNECT_TIMEOUT_MS);
    const close = async (): Promise<void> => {
      const result = generator.lines.next('result', RESULT_GRACE_MS);
      try {
        generator.child.stdin.end();
        assertClean(subject, await result);
      } finally {
        await generator.end();
      }
    };
    return { connected: Number(ready['connections']), close };
  } catch (error) {
    await generator.end();
    throw error;
  }
}

function startTlvLoad(
  subject: Subject,
  pinTo: number | null,
  settings: Record<string, string | number>,
): Generator {
  const address = subject.address(settings['mode'] === 'udp' ? 'udp' : 'tcp');
  const args = Object.entries({ ...address, ...settings }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  // An idle run waits for the end of its input without being told.
  if (settings['mode'] !== 'idle') args.push('--gate');
  return startGenerator(TLV_LOAD, args, pinTo);
}
