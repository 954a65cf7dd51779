// What one process uses of the machine, read from /proc: CPU time, memory, threads.
// renderer-process.ts asks about its renderer, for heartbeats, results and recycling.

import { readFileSync } from 'node:fs';

export interface ProcessUsage {
  /** User and system time since the process began. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly threads: number;
}

const TICK_MS = 10; // USER_HZ is 100 on every Linux architecture that Node runs on
const KIB = 1024;

/** Undefined when the process is gone, or where there is no /proc. */
export function processUsage(pid: number): ProcessUsage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name stands in parentheses, and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
      rssBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * KIB,
      threads: Number(fields[17]),
    };
  } catch {
    return undefined; // it ended: whoever waits for it is told
  }
}
