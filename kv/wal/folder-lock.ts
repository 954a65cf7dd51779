// Keeps two processes out of one data folder: a file LOCK that names who is in.
// Node has no flock, so the file tells process id, the process's start and the boot; a lock whose process is gone is taken over.
// Where that cannot be told (another machine or container shares the folder), the lock holds and the message says so.

import { randomUUID } from 'node:crypto';
import { link, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { KvError } from '../errors.js';

interface Holder {
  readonly pid: number;
  /** Of the process, in clock ticks since boot: a process id alone may have been given again. */
  readonly started: string;
  /** Boot and namespace: process ids mean something within them alone. */
  readonly place: string;
  readonly nonce: string;
}

/** @throws KvError KV_LOCKED */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const lockPath = path.join(folder, 'LOCK');
  const holder: Holder = {
    pid: process.pid,
    started: (await startOf(process.pid)) ?? '',
    place: await placeOf(),
    nonce: randomUUID(),
  };
  const text = JSON.stringify(holder);
  const ownPath = `${lockPath}.${holder.nonce}`;
  await writeFile(ownPath, text, { mode: 0o600 });
  try {
    // link() fails if the name is taken, and what it makes is complete.
    while (!(await linked(ownPath, lockPath))) {
      const found = await readText(lockPath);
      if (found === null) continue; // just let go
      if (!(await isGone(found, holder.place))) throw lockedError(lockPath, found);
      await takeAway(lockPath, found, `${ownPath}.stale`);
    }
  } finally {
    await rm(ownPath, { force: true });
  }
  return async () => {
    if ((await readText(lockPath)) === text) await rm(lockPath, { force: true });
  };
}

/** Removes the lock if it is still the one that was judged. */
async function takeAway(lockPath: string, judged: string, asidePath: string): Promise<void> {
  try {
    await rename(lockPath, asidePath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // Between judging and renaming another process may have taken over: its lock goes back.
  if ((await readText(asidePath)) !== judged) await linked(asidePath, lockPath);
  await rm(asidePath, { force: true });
}

async function isGone(text: string, place: string): Promise<boolean> {
  const holder = parseHolder(text);
  if (holder === null) return false;
  if (holder.place !== place) {
    // An earlier boot of this machine is gone with everything in it.
    const [boot, ...rest] = place.split(' ');
    const [heldBoot, ...heldRest] = holder.place.split(' ');
    return heldBoot !== boot && rest[0] === heldRest[0];
  }
  return (await startOf(holder.pid)) !== holder.started;
}

/** null for what is not ours to judge: somebody else's file of that name. */
function parseHolder(text: string): Holder | null {
  try {
    const { pid, started, place, nonce } = JSON.parse(text) as Record<keyof Holder, unknown>;
    if (typeof pid !== 'number' || typeof started !== 'string') return null;
    return typeof place === 'string' && typeof nonce === 'string' ? { pid, started, place, nonce } : null;
  } catch {
    return null;
  }
}

function lockedError(lockPath: string, text: string): KvError {
  const advice = 'stop that process; remove the file only if it runs on another machine and is surely gone';
  return new KvError('KV_LOCKED', `${lockPath} is held by ${text}: ${advice}`, { file: lockPath });
}

/** "boot host namespace" */
async function placeOf(): Promise<string> {
  const boot = (await readText('/proc/sys/kernel/random/boot_id')) ?? 'unknown';
  const namespace = await readlink('/proc/self/ns/pid').catch(() => 'unknown'); // not Linux
  return `${boot.trim()} ${hostname()} ${namespace}`;
}

/** null when there is no such process; '' where the system does not tell. */
async function startOf(pid: number): Promise<string | null> {
  const text = await readText(`/proc/${pid}/stat`);
  // The name, in parentheses, may hold anything; the start is the 20th field behind it.
  if (text !== null) return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  try {
    process.kill(pid, 0);
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? '' : null;
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}
