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
  const ownPath = `${lockPath}.own.${holder.nonce}`;
  await writeFile(ownPath, text, { mode: 0o600 });
  try {
    await acquire(lockPath, ownPath, holder.place);
  } finally {
    await rm(ownPath, { force: true });
  }
  return async () => {
    if ((await readText(lockPath)) === text) await rm(lockPath, { force: true });
  };
}

/**
 * Makes `lockPath` a copy of `ownPath`. A lock whose holder is gone is replaced by whoever holds the lock on that very lock,
 * which is named after it and taken by the same rules: of several that judge it, one replaces it, and once.
 */
async function acquire(lockPath: string, ownPath: string, place: string): Promise<void> {
  // link() fails if the name is taken, and what it makes is complete.
  while (!(await linked(ownPath, lockPath))) {
    const found = await readText(lockPath);
    if (found === null) continue; // just let go
    const holder = parseHolder(found);
    if (holder === null || !(await isGone(holder, place))) throw lockedError(lockPath, found);
    const claimPath = `${lockPath}.${holder.nonce}`;
    await acquire(claimPath, ownPath, place);
    try {
      if ((await readText(lockPath)) !== found) continue; // replaced before the claim was ours
      await linked(ownPath, `${ownPath}.new`);
      await rename(`${ownPath}.new`, lockPath);
      return;
    } finally {
      await rm(claimPath);
    }
  }
}

async function isGone(holder: Holder, place: string): Promise<boolean> {
  if (holder.place === place) return (await startOf(holder.pid)) !== holder.started;
  // An earlier boot of this machine is gone with everything in it.
  const [boot, host] = place.split(' ');
  const [heldBoot, heldHost] = holder.place.split(' ');
  return heldBoot !== boot && host === heldHost;
}

/** null for what is not ours to judge: somebody else's file of that name. */
function parseHolder(text: string): Holder | null {
  try {
    const { pid, started, place, nonce } = JSON.parse(text) as Record<keyof Holder, unknown>;
    if (typeof pid !== 'number' || typeof started !== 'string') return null;
    if (typeof place !== 'string' || typeof nonce !== 'string' || !/^[0-9a-f-]{36}$/.test(nonce)) return null;
    return { pid, started, place, nonce };
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
