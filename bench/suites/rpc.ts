// RPC: ours on both transports beside grpc-js, a plain TLV echo and JSON over node:http, in turn, on the same load.
// All generators are Node programs of one make (bench/rpc/load.ts), each with the client of its peer.

import { residentBytes } from '../process-usage.js';
import type { CheckRule } from '../report.js';
import { startRpcLoad, measureRpc, type RpcLoad } from '../rpc-load.js';
import { type Sample, toResult } from '../sample.js';
import { nodePeer, reactorNet, TRANSPORTS, type Transport } from '../subjects.js';
import type { Subject } from '../subject.js';
import {
  type Bench,
  checkRatio,
  interleave,
  interleaveJudged,
  type Rounds,
  startSubjects,
  type Suite,
} from '../suite.js';

const UNARY = { mode: 'unary', payloadBytes: 64 } as const;
/** 64 calls at a time on one connection, and one call at a time on each of 64. */
const CONCURRENT = { ...UNARY, connections: 1, depth: 64 };
const SINGLE = { ...UNARY, connections: 64, depth: 1 };
const FEED = { mode: 'feed', connections: 1, depth: 8, payloadBytes: 1024 } as const;
const HELD_STREAMS = 5000;
/** The client is a program that is compiled as it runs: it needs longer than a native one. */
const WARMUP_SECONDS = 0.8;
/** Of six subjects. */
const QUICK_PAIRS = 2;

const GRPC = nodePeer('grpc-js', 'grpc-echo');
const HTTP_JSON = nodePeer('node:http JSON', 'node-http-json');
const ours = (transport: Transport): string => `reactor-net rpc/${transport}`;
const tlv = (transport: Transport): string => `TLV echo/${transport}`;

type Judged = readonly [rule: CheckRule, ours: string, theirs: string, pick: (sample: Sample) => number];

const cpuPerOp = (sample: Sample): number => sample.cpuPerOp;
const opsPerSecond = (sample: Sample): number => sample.opsPerSecond;

const CONCURRENT_CHECKS: readonly Judged[] = TRANSPORTS.flatMap((transport): Judged[] => [
  [
    rule(
      `rpc.unary.c64.${transport}.throughput_vs_grpc`,
      `calls per second, 64 at a time, ${transport} / grpc-js`,
      8,
      'higher',
    ),
    ours(transport),
    GRPC.name,
    opsPerSecond,
  ],
  [
    rule(
      `rpc.unary.c64.${transport}.cpu_vs_grpc`,
      `server CPU per call, 64 at a time, ${transport} / grpc-js`,
      0.15,
      'lower',
    ),
    ours(transport),
    GRPC.name,
    cpuPerOp,
  ],
]);
const SINGLE_CHECKS: readonly Judged[] = TRANSPORTS.map((transport) => [
  rule(
    `rpc.unary.c64d1.${transport}.cpu_vs_tlv`,
    `server CPU per call, 64 connections, ${transport} / TLV echo`,
    2.5,
    'lower',
  ),
  ours(transport),
  tlv(transport),
  cpuPerOp,
]);
const FEED_CHECKS: readonly Judged[] = TRANSPORTS.map((transport) => [
  rule(
    `rpc.feed.${transport}.throughput_vs_grpc`,
    `messages of 1 KiB per second to a reader, ${transport} / grpc-js`,
    5,
    'higher',
  ),
  ours(transport),
  GRPC.name,
  opsPerSecond,
]);
const TAIL_RULES: readonly CheckRule[] = TRANSPORTS.map((transport) =>
  rule(
    `rpc.tail.${transport}.p99`,
    `p99 of the other calls when 1 % are slow / when none is, ${transport}`,
    1.5,
    'lower',
  ),
);

export const RPC: Suite = {
  name: 'rpc',
  rules: [
    ...[...CONCURRENT_CHECKS, ...SINGLE_CHECKS, ...FEED_CHECKS].map(([judged]) => judged),
    ...TAIL_RULES,
  ],
  async run(bench) {
    const specs = [
      ...TRANSPORTS.map((transport) => nodePeer(ours(transport), 'rpc-echo', [transport])),
      GRPC,
      HTTP_JSON,
      ...TRANSPORTS.map((transport) => reactorNet('tcp', 1, transport, [], tlv(transport))),
    ];
    const subjects = await startSubjects(bench, specs);
    try {
      const { effort } = bench;
      // The first calls compile the server; with few rounds there is no time to leave them out.
      if (effort.judged)
        await interleave(subjects, 1, (subject) => measureRpc(subject, loadFor(bench, subject, CONCURRENT)));
      const pairs = effort.judged ? effort.pairs : Math.min(effort.pairs, QUICK_PAIRS);
      await runPoint(bench, subjects, 'unary', CONCURRENT, pairs, CONCURRENT_CHECKS);
      if (!effort.allPoints) return;
      await runPoint(bench, subjects, 'unary', SINGLE, effort.pointPairs, SINGLE_CHECKS);
      const streaming = subjects.filter(({ name }) => name === GRPC.name || isOurs(name));
      await runPoint(bench, streaming, 'feed', FEED, effort.pointPairs, FEED_CHECKS);
      await runTail(
        bench,
        subjects.filter(({ name }) => isOurs(name)),
      );
      await runHeld(bench, streaming);
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()));
    }
  },
};

type Point = Pick<RpcLoad, 'mode' | 'connections' | 'depth' | 'payloadBytes'>;

function loadFor({ effort, loadCpu }: Bench, { name }: Subject, point: Point): RpcLoad {
  const transport = name.endsWith('/epoll') ? 'epoll' : 'net';
  const kind = isOurs(name) ? 'rpc' : name === GRPC.name ? 'grpc' : name === HTTP_JSON.name ? 'http' : 'tlv';
  return {
    ...point,
    kind,
    transport,
    warmupSeconds: effort.judged ? WARMUP_SECONDS : effort.warmupSeconds,
    durationSeconds: effort.durationSeconds,
    pinTo: loadCpu,
  };
}

function isOurs(name: string): boolean {
  return name.startsWith('reactor-net rpc/');
}

async function runPoint(
  bench: Bench,
  subjects: readonly Subject[],
  name: string,
  point: Point,
  pairs: number,
  judged: readonly Judged[],
): Promise<void> {
  const { connections, depth, payloadBytes: payload } = point;
  bench.progress(`${name}: ${connections} connections, depth ${depth}, ${payload} B`);
  const compared = new Set(judged.flatMap(([, ourName, theirs]) => [ourName, theirs]));
  const { sidePairs } = bench.effort;
  const rounds = await interleaveJudged(subjects, compared, { pairs, sidePairs }, (subject) =>
    measureRpc(subject, loadFor(bench, subject, point)),
  );
  addResults(bench, name, { connections, depth, payload }, rounds);
  for (const [judgedRule, ourName, theirs, pick] of judged) {
    checkRatio(bench.report, judgedRule, rounds, { ours: ourName, theirs }, pick);
  }
}

/** The same load with and without slow calls, in turn, on one server each. */
async function runTail(bench: Bench, subjects: readonly Subject[]): Promise<void> {
  bench.progress('tail: 1 of 100 calls takes 10 ms');
  for (const [index, subject] of subjects.entries()) {
    const even: Sample[] = [];
    const slow: Sample[] = [];
    for (let pair = 0; pair < bench.effort.pointPairs; pair += 1) {
      even.push(await measureRpc(subject, loadFor(bench, subject, CONCURRENT)));
      slow.push(await measureRpc(subject, loadFor(bench, subject, { ...CONCURRENT, mode: 'tail' })));
    }
    const rounds: Rounds = new Map([
      ['without', even],
      ['with', slow],
    ]);
    addResults(bench, 'tail', { connections: 1, depth: 64, slow: 0 }, new Map([[subject.name, even]]));
    addResults(bench, 'tail', { connections: 1, depth: 64, slow: 1 }, new Map([[subject.name, slow]]));
    const tailRule = TAIL_RULES[index];
    if (tailRule !== undefined)
      checkRatio(bench.report, tailRule, rounds, { ours: 'with', theirs: 'without' }, (sample) => sample.p99);
  }
}

/** What an open stream that does nothing costs the server: RSS with them less that before, per stream. */
async function runHeld(bench: Bench, subjects: readonly Subject[]): Promise<void> {
  bench.progress(`held: ${HELD_STREAMS} open streams`);
  for (const subject of subjects) {
    const before = residentBytes(subject.pid);
    const load = loadFor(bench, subject, {
      mode: 'hold',
      connections: 1,
      depth: HELD_STREAMS,
      payloadBytes: 5,
    });
    const generator = startRpcLoad(subject, load);
    try {
      await generator.lines.next('connected', 30_000);
      const opened = generator.lines.next('result', 60_000);
      generator.child.stdin.write('\n');
      await opened;
      const bytes = (residentBytes(subject.pid) - before) / HELD_STREAMS;
      bench.report.notes.push(
        `${subject.name}: ${Math.round(bytes)} B of RSS per open stream (${HELD_STREAMS} of them)`,
      );
    } finally {
      await generator.end();
    }
  }
}

function addResults(bench: Bench, name: string, params: Record<string, number>, rounds: Rounds): void {
  for (const [subject, samples] of rounds) {
    if (samples.length > 0) bench.report.results.push(toResult(name, params, subject, samples));
  }
}

function rule(id: string, title: string, bar: number, better: 'lower' | 'higher'): CheckRule {
  return { id, title, unit: 'ratio', bar, better };
}
