// Messages from one process to another over jbus, beside what else a Node program could use, and the copy that is the
// limit of it all. Both ends run our code or the peer's, so both are the subject; the readers get whole messages and read
// a word of each line.

import { measureMessages, type MessageCommand, messagePeer } from '../message-run.js';
import { type CheckRule, judge } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import type { Subject, SubjectSpec } from '../subject.js';
import {
  type Bench,
  checkRatio,
  interleaveJudged,
  type Rounds,
  startSubjects,
  type Suite,
} from '../suite.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SMALL_BYTES = 64;
const LARGE_BYTES = 4 * MIB;
/** Where nothing is judged. */
const SIDE_BYTES = [4 * KIB, 64 * KIB, MIB];
/** What messages are cut from, round and round: more than any cache holds. */
const ROTATED_BYTES = 256 * MIB;
const ROTATED_BYTES_SMOKE = 32 * MIB;

/** Subjects by their way through peers/messages/sender.ts. */
const NAMES = {
  channel: 'jbus channel',
  'channel-spin': 'jbus channel, spinning',
  'channel-python': 'jbus channel to Python',
  ring: 'jbus ring',
  pair: 'unix socket',
  'pair-pieces': 'unix socket, in pieces',
  'pair-python': 'unix socket to Python',
  tcp: 'tcp loopback',
  worker: 'worker_threads',
  copy: 'memcpy',
  'copy-read': 'memcpy, read',
} as const;
type Way = keyof typeof NAMES;

/** Held against another subject round by round, or by itself. */
interface Judgement {
  readonly rule: CheckRule;
  readonly ours: Way;
  readonly theirs?: Way;
  readonly pick: (sample: Sample) => number;
}

interface Point {
  readonly run: MessageCommand['run'];
  readonly bytes: number;
  readonly ways: readonly Way[];
  readonly judgements: readonly Judgement[];
}

const bytesPerSecond = (sample: Sample): number => sample.bytesPerSecond;
const p50 = (sample: Sample): number => sample.p50;

const VS_UNIX: Judgement = {
  rule: {
    id: 'jbus.node.4m.vs_unix',
    title: '4 MiB between Node processes, bytes per second, jbus channel / Unix socket in pieces',
    unit: 'ratio',
    bar: 2,
    better: 'higher',
  },
  ours: 'channel',
  theirs: 'pair-pieces',
  pick: bytesPerSecond,
};
const VS_MEMCPY: Judgement = {
  rule: {
    id: 'jbus.node.4m.vs_memcpy',
    title: '4 MiB between Node processes, bytes per second, jbus channel / one Buffer.copy',
    unit: 'ratio',
    bar: 0.6,
    better: 'higher',
  },
  ours: 'channel',
  theirs: 'copy',
  pick: bytesPerSecond,
};
const PYTHON_VS_UNIX: Judgement = {
  rule: {
    id: 'jbus.python.4m.vs_unix',
    title: '4 MiB from Node to Python, bytes per second, jbus channel / Unix socket to Python',
    unit: 'ratio',
    bar: 1.5,
    better: 'higher',
  },
  ours: 'channel-python',
  theirs: 'pair-python',
  pick: bytesPerSecond,
};
const SMALL_RATE: Judgement = {
  rule: {
    id: 'jbus.node.64b.per_second',
    title: '64 B in batches between Node processes, messages per second, each read',
    unit: 'per second',
    bar: 5_000_000,
    better: 'higher',
  },
  ours: 'ring',
  pick: (sample) => sample.opsPerSecond,
};
const DOORBELL_VS_PAIR: Judgement = {
  rule: {
    id: 'jbus.ping.64b.doorbell_vs_pair',
    title: 'round trip of 64 B, p50, jbus channel by its doorbell / Unix socketpair',
    unit: 'ratio',
    bar: 1.3,
    better: 'lower',
  },
  ours: 'channel',
  theirs: 'pair',
  pick: p50,
};
const SPIN_MICROS: Judgement = {
  rule: {
    id: 'jbus.ping.64b.spin_p50_us',
    title: 'round trip of 64 B, p50, jbus channel with both sides spinning',
    unit: 'µs',
    bar: 5,
    better: 'lower',
  },
  ours: 'channel-spin',
  pick: p50,
};

const STREAMS: readonly Way[] = [
  'channel',
  'ring',
  'pair',
  'pair-pieces',
  'tcp',
  'worker',
  'copy',
  'copy-read',
];
const LARGE: Point = {
  run: 'stream',
  bytes: LARGE_BYTES,
  ways: STREAMS,
  judgements: [VS_UNIX, VS_MEMCPY],
};
const PING: Point = {
  run: 'ping',
  bytes: SMALL_BYTES,
  ways: ['channel', 'channel-spin', 'pair', 'worker'],
  judgements: [DOORBELL_VS_PAIR, SPIN_MICROS],
};
const POINTS: readonly Point[] = [
  { ...LARGE, ways: ['channel-python', 'pair-python'], judgements: [PYTHON_VS_UNIX] },
  { ...LARGE, bytes: SMALL_BYTES, judgements: [SMALL_RATE] },
  ...SIDE_BYTES.map((bytes): Point => ({ run: 'stream', bytes, ways: STREAMS, judgements: [] })),
];
/** All that a smoke run starts, and what a quick one measures where nothing is judged. */
const FEW_WAYS: readonly Way[] = ['channel', 'pair', 'copy'];

export const JBUS: Suite = {
  name: 'jbus',
  rules: [LARGE, PING, ...POINTS].flatMap((point) => point.judgements.map(({ rule }) => rule)),
  async run(bench) {
    const { allPoints, pairs, sidePairs, judged } = bench.effort;
    const ways = allPoints ? (Object.keys(NAMES) as Way[]) : FEW_WAYS; // its keys are its ways
    const subjects = await startSubjects(bench, ways.map(specOf(allPoints)));
    try {
      await runPoint(bench, subjects, LARGE, pairs);
      await runPoint(bench, subjects, PING, pairs);
      if (!allPoints) return;
      for (const point of POINTS) {
        if (point.judgements.length > 0) await runPoint(bench, subjects, point, pairs);
        else await runPoint(bench, subjects, judged ? point : { ...point, ways: FEW_WAYS }, sidePairs);
      }
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()));
    }
  },
};

function specOf(isFull: boolean): (way: Way) => SubjectSpec {
  const rotatedBytes = isFull ? ROTATED_BYTES : ROTATED_BYTES_SMOKE;
  return (way) => messagePeer(NAMES[way], way, rotatedBytes);
}

async function runPoint(
  bench: Bench,
  subjects: readonly Subject[],
  { run, bytes, ways, judgements }: Point,
  pairs: number,
): Promise<void> {
  const { effort, report } = bench;
  const names = new Set<string>(ways.map((way) => NAMES[way]));
  const ours = subjects.filter(({ name }) => names.has(name));
  bench.progress(`${run}: ${bytes} B, ${ours.length} ways`);
  const command: MessageCommand = {
    run,
    bytes,
    warmupSeconds: effort.warmupSeconds,
    seconds: effort.durationSeconds,
  };
  const judged = new Set<string>(
    judgements.flatMap(({ ours, theirs = ours }) => [NAMES[ours], NAMES[theirs]]),
  );
  const rounds = await interleaveJudged(ours, judged, { pairs, sidePairs: effort.sidePairs }, (subject) =>
    measureMessages(subject, command),
  );
  for (const [subject, samples] of rounds) report.results.push(toResult(run, { bytes }, subject, samples));
  for (const judgement of judgements) judgePoint(bench, judgement, rounds);
}

function judgePoint({ report }: Bench, { rule, ours, theirs, pick }: Judgement, rounds: Rounds): void {
  if (theirs !== undefined) {
    checkRatio(report, rule, rounds, { ours: NAMES[ours], theirs: NAMES[theirs] }, pick);
    return;
  }
  const samples = rounds.get(NAMES[ours]) ?? [];
  if (samples.length > 0) report.checks.push(judge(rule, samples.map(pick)));
}
