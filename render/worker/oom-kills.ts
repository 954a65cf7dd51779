// How often the system has ended processes for want of memory: in our control group where there is one, else on the machine.
// renderer-process.ts compares it over the life of a renderer that was killed, and not by us.

import { readFileSync } from 'node:fs';

const CGROUP = /^0::(\/.*)$/m;
const OOM_KILL = /^oom_kill (\d+)$/m;

/** 0 where nobody counts. */
export function oomKills(): number {
  const group = CGROUP.exec(textOf('/proc/self/cgroup'))?.[1];
  const events = group === undefined ? '' : textOf(`/sys/fs/cgroup${group}/memory.events`);
  const found = OOM_KILL.exec(events) ?? OOM_KILL.exec(textOf('/proc/vmstat'));
  return Number(found?.[1] ?? 0);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // no such file here: an older kernel, or no control groups
  }
}
