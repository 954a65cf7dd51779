// Keeps two processes out of one folder: a file that names who has it. One whose process is gone is taken over.
// scene-cache.ts holds the folder that it was given.

import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { RenderError } from '../errors.js';
import { startTimeOf } from '../scratch-folder.js';

/** Resolves to what gives it back. @throws RenderError RENDER_OPTION_INVALID: a process that lives has it */
export async function holdFolder(folder: string): Promise<() => Promise<void>> {
  const file = path.join(folder, 'HELD');
  const text = `${process.pid} ${startTimeOf(process.pid)}`;
  if (!(await wrote(file, text))) {
    const holder = await readFile(file, 'utf8').catch(() => ''); // given back this moment
    const [pid = '', startTime] = holder.split(' ');
    if (startTime !== undefined && startTimeOf(Number(pid)) === startTime)
      throw new RenderError('RENDER_OPTION_INVALID', `process ${pid} has the folder ${folder}`);
    await rm(file, { force: true });
    if (!(await wrote(file, text)))
      throw new RenderError('RENDER_OPTION_INVALID', `another process has just taken the folder ${folder}`);
  }
  return () => rm(file, { force: true });
}

async function wrote(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
