// The real access to a watched file. It is the folder that is watched: editors and configuration maps put a new file
// in the place of the old one, which a watch of the file itself would miss.

import { type FSWatcher, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { FileAccess } from './file-resolver.js';

/** A list of instances is not longer than this. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

export const systemFile: FileAccess = {
  async read(file) {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > FILE_BYTES_MAX) throw new RangeError(`it has ${size} bytes, above ${FILE_BYTES_MAX}`);
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  },
  watch(file, onChange) {
    let watcher: FSWatcher;
    try {
      watcher = watch(path.dirname(file), { persistent: false }, () => onChange());
    } catch {
      return null; // no such folder yet, or no watches left: the resolver also polls
    }
    watcher.on('error', () => watcher.close()); // the folder is gone; the resolver also polls
    return () => watcher.close();
  },
};
