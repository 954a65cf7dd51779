// Folders for as long as a process runs: that of a renderer, in memory where there is room (its TMPDIR, through which
// Blender hands out its pixels; renderer-child.ts makes one for every start), and that of a main node without --data.
// The name tells who made it, so that what a killed node has left is found and removed by the next one.

import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const MEMORY_FOLDER = '/dev/shm';
/** In Docker /dev/shm has 64 MiB unless told otherwise; an image of 4096 × 4096 floats has four times as many. */
const MEMORY_BYTES_MIN = 32 * 1024 * 1024;
const PREFIX = 'reactor-net-render';
const NAME = /^reactor-net-render-(\d+)-(\d+)-/;

/** @param kind 'memory' where there is room, or 'disk' for what is large */
export async function makeScratchFolder(kind: 'memory' | 'disk' = 'memory'): Promise<string> {
  const parent = kind === 'memory' && (await hasMemory()) ? MEMORY_FOLDER : tmpdir();
  return await mkdtemp(path.join(parent, `${PREFIX}-${process.pid}-${startTimeOf(process.pid)}-`));
}

export async function removeScratchFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** Removes what processes that are gone have left; how many folders that were. */
export async function removeStaleScratchFolders(): Promise<number> {
  let removed = 0;
  for (const parent of new Set([MEMORY_FOLDER, tmpdir()])) {
    const names = await readdir(parent).catch(() => []); // no such folder: nothing is left in it
    for (const name of names) {
      const [, pid, startTime] = NAME.exec(name) ?? [];
      if (pid === undefined || startTimeOf(Number(pid)) === startTime) continue;
      await removeScratchFolder(path.join(parent, name));
      removed += 1;
    }
  }
  return removed;
}

async function hasMemory(): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(MEMORY_FOLDER);
    return bavail * bsize >= MEMORY_BYTES_MIN;
  } catch {
    return false; // there is no /dev/shm
  }
}

/** Ticks from boot to its start, which no later process of that number shares; '0' when there is no such process. */
export function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    return '0'; // it is gone
  }
}
