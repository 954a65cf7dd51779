// Files that are there whole or not at all: written beside their place under another name, then moved there.

import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { RenderError } from '../errors.js';

/** The beginning of the name of a file that is being written. */
const PARTIAL_MARK = '.partial-';

/** Whether a writer that was interrupted may have left it. */
export function isPartialName(name: string): boolean {
  return name.includes(PARTIAL_MARK);
}

/**
 * `write` fills a file, which then is at `path`, in place of what was there; when it throws, nothing has changed.
 * @throws RenderError RENDER_IO, and what `write` throws
 */
export async function writeAtomically(
  path: string,
  write: (file: FileHandle, temporaryPath: string) => Promise<void>,
): Promise<void> {
  const temporaryPath = `${path}${PARTIAL_MARK}${randomBytes(4).toString('hex')}`;
  try {
    const file = await open(temporaryPath, 'wx');
    try {
      await write(file, temporaryPath);
    } finally {
      await file.close();
    }
    await rename(temporaryPath, path);
  } catch (error) {
    await rm(temporaryPath, { force: true });
    throw fileError(error);
  }
}

/** A failed call of the system as ours; everything else passes unchanged. */
export function fileError(error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  return new RenderError('RENDER_IO', error.message, { cause: error });
}
