// What a process and its descendants have used so far, read from /proc (Linux).
// Totals come from the scheduler (task/*/schedstat, nanoseconds); the user/system split from stat, whose
// clock ticks of 10 ms are too coarse for totals. Where a thread ended in between, or the kernel keeps no
// schedstat, the ticks give the total as well.

import { readdirSync, readFileSync } from 'node:fs';

const TICK_MICROS = 10_000; // USER_HZ is 100 on every Linux architecture Node runs on

export interface CpuSnapshot {
  userTicks: number;
  systemTicks: number;
  /** Nanoseconds each living thread has run, by thread id; null without schedstat. */
  runNanos: ReadonlyMap<number, number> | null;
}

export interface CpuMicros {
  total: number;
  user: number;
  system: number;
}

/** `pid` and all its living descendants. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const parent of tree) {
    for (const thread of threadsOf(parent)) {
      const children = readText(`/proc/${parent}/task/${thread}/children`) ?? '';
      for (const child of children.split(' ')) if (child.trim() !== '') tree.push(Number(child));
    }
  }
  return tree;
}

export function cpuSnapshot(pid: number): CpuSnapshot {
  const runNanos = new Map<number, number>();
  let userTicks = 0;
  let systemTicks = 0;
  let scheduled = true;
  for (const member of processTree(pid)) {
    const fields = statFields(member);
    userTicks += Number(fields[11] ?? 0);
    systemTicks += Number(fields[12] ?? 0);
    for (const thread of threadsOf(member)) {
      const text = readText(`/proc/${member}/task/${thread}/schedstat`);
      if (text === null) scheduled = false;
      else runNanos.set(thread, Number(text.split(' ')[0]));
    }
  }
  return { userTicks, systemTicks, runNanos: scheduled ? runNanos : null };
}

/** CPU time used between two snapshots of the same process. */
export function cpuBetween(before: CpuSnapshot, after: CpuSnapshot): CpuMicros {
  const user = (after.userTicks - before.userTicks) * TICK_MICROS;
  const system = (after.systemTicks - before.systemTicks) * TICK_MICROS;
  const total = runMicros(before.runNanos, after.runNanos) ?? user + system;
  const userShare = user + system === 0 ? 0.5 : user / (user + system);
  return { total, user: total * userShare, system: total * (1 - userShare) };
}

function runMicros(before: CpuSnapshot['runNanos'], after: CpuSnapshot['runNanos']): number | null {
  if (before === null || after === null) return null;
  let nanos = 0;
  for (const thread of before.keys()) if (!after.has(thread)) return null;
  for (const [thread, now] of after) nanos += now - (before.get(thread) ?? 0);
  return nanos / 1000;
}

/** Resident bytes of the process and its descendants; pages they share count once for each. */
export function residentBytes(pid: number): number {
  let bytes = 0;
  for (const member of processTree(pid)) {
    const text = readText(`/proc/${member}/smaps_rollup`) ?? readText(`/proc/${member}/status`) ?? '';
    const kib = /^(?:Rss|VmRSS):\s+(\d+) kB/m.exec(text)?.[1];
    bytes += Number(kib ?? 0) * 1024;
  }
  return bytes;
}

/** Open descriptors of the one process. */
export function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** CPU time of the children this process has waited for, in whole ticks: for load tools that do not say. */
export function endedChildrenMicros(): number {
  const fields = statFields(process.pid);
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * TICK_MICROS;
}

// The fields after the command name, which may itself hold blanks and brackets: [0] is the state.
function statFields(pid: number): string[] {
  const text = readText(`/proc/${pid}/stat`) ?? '';
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return []; // the process ended since it was listed
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // the process or thread ended, or this kernel has no such file
  }
}
