// The folder whose files are served: opens what a path means, and nothing outside.
// static-files.ts asks it. A name decides nothing by itself: what was opened is asked for its real place, so neither a
// link nor one that changes meanwhile leads out of the root.

import { closeSync, fstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';

import { ReactorError } from '../errors.js';
import { openFile } from '../sendable-file.js';
import type { FileFacts } from './validators.js';

export interface FoundFile extends FileFacts {
  /** The caller's to close. */
  readonly fd: number;
  readonly name: string;
}

/** What may be in the way of a file that for the client comes to its not being there. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO', 'EACCES', 'EPERM']);

export class StaticFolder {
  /** Without links; ends with a separator. */
  readonly #root: string;

  /** @throws ReactorError REACTOR_OPTION_INVALID when `root` is no folder. */
  constructor(root: string | URL) {
    try {
      const real = realpathSync(root);
      this.#root = real.endsWith(path.sep) ? real : real + path.sep;
      statSync(this.#root); // with the separator only a folder has a status
    } catch (cause) {
      throw new ReactorError('REACTOR_OPTION_INVALID', `${String(root)} is no folder to serve`, { cause });
    }
  }

  /**
   * Opens the file of these names, from the root down. null: nothing is there that may be served.
   * @throws ReactorError REACTOR_FILE_UNAVAILABLE when the system cannot open any file now
   */
  open(names: readonly string[]): FoundFile | 'folder' | null {
    const name = path.join(this.#root, ...names);
    const fd = openIfThere(name);
    if (fd === null) return null;
    let found: FoundFile | 'folder' | null = null;
    try {
      found = this.#look(fd, name);
      return found;
    } finally {
      if (found === null || found === 'folder') closeSync(fd);
    }
  }

  #look(fd: number, name: string): FoundFile | 'folder' | null {
    const status = fstatSync(fd, { bigint: true });
    if (!status.isFile() && !status.isDirectory()) return null;
    const real = realPathOf(fd, name);
    if (real === null || !`${real}${path.sep}`.startsWith(this.#root)) return null;
    if (status.isDirectory()) return 'folder';
    return { fd, name, sizeBytes: Number(status.size), inode: status.ino, modifiedNs: status.mtimeNs };
  }
}

function openIfThere(name: string): number | null {
  try {
    return openFile(name);
  } catch (error) {
    const cause = error instanceof ReactorError ? error.cause : error;
    const { code } = cause as NodeJS.ErrnoException; // what openSync throws has one
    if (code !== undefined && ABSENT.has(code)) return null;
    throw error;
  }
}

/** Where the open file really is; null when that cannot be told. */
function realPathOf(fd: number, name: string): string | null {
  if (process.platform === 'linux') return readlinkSync(`/proc/self/fd/${fd}`);
  const real = realpathSync(name);
  const there = statSync(real, { bigint: true });
  const opened = fstatSync(fd, { bigint: true });
  return there.dev === opened.dev && there.ino === opened.ino ? real : null;
}
