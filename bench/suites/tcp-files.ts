// One file of 1 MiB to eight clients: sendFile on both transports beside the three ways of a C server.
// tcp.ts runs it. Ours opens the file for every request, the C server once; the generator counts the bytes and lets
// the kernel throw them away. What counts is bytes per second of the server's CPU.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILE_SERVER } from '../paths.js';
import { round } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import { median } from '../statistics.js';
import type { SubjectSpec } from '../subject.js';
import { nodePeer, TRANSPORTS } from '../subjects.js';
import { type Bench, interleave, startSubjects } from '../suite.js';
import { measureTlv, type TlvLoad } from '../tlv-load.js';

const FILE_BYTES = 1024 * 1024;
const CONNECTIONS = 8;
const WAYS = [
  ['C read+write', 'read'],
  ['C mapped memory', 'mmap'],
  ['C sendfile', 'sendfile'],
] as const;

export async function runFiles(bench: Bench): Promise<void> {
  bench.progress(`files: ${CONNECTIONS} connections, ${FILE_BYTES} B`);
  const folder = mkdtempSync(join(tmpdir(), 'reactor-net-bench-'));
  const path = join(folder, 'file');
  writeFileSync(path, Buffer.alloc(FILE_BYTES, 'file'));
  const subjects = await startSubjects(bench, specsFor(path));
  try {
    const { durationSeconds, warmupSeconds, sidePairs } = bench.effort;
    const load: TlvLoad = {
      mode: 'fetch',
      connections: CONNECTIONS,
      depth: 1,
      payloadBytes: FILE_BYTES,
      durationSeconds,
      warmupSeconds,
      pinTo: bench.loadCpu,
    };
    const warmUp = { ...load, durationSeconds: warmupSeconds }; // compiles, and fills the page cache
    await interleave(subjects, 1, (subject) => measureTlv(subject, warmUp));
    const rounds = await interleave(subjects, sidePairs, (subject) => measureTlv(subject, load));
    for (const [subject, samples] of rounds) {
      const result = toResult('file', { connections: CONNECTIONS, bytes: FILE_BYTES }, subject, samples);
      bench.report.results.push({
        ...result,
        bytes_per_cpu_s: round(median(samples.map(bytesPerCpuSecond))),
      });
    }
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
    rmSync(folder, { recursive: true });
  }
}

function specsFor(path: string): SubjectSpec[] {
  const ours = TRANSPORTS.map((transport) =>
    nodePeer(`reactor-net/${transport}`, 'reactor-file', [transport, path]),
  );
  const theirs = WAYS.map(([name, way]) => ({ name, command: FILE_SERVER, args: [way, path] }));
  return [...ours, ...theirs];
}

function bytesPerCpuSecond({ cpuPerOp }: Sample): number {
  return FILE_BYTES / (cpuPerOp / 1e6);
}
