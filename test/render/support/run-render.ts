// Runs a command of the area `render` inside the test, and keeps what it printed.

import { PassThrough } from 'node:stream';
import { main } from '../../../cli/main.js';

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output line by line, as JSON. */
  readonly events: () => Record<string, unknown>[];
}

export async function runRender(
  args: readonly string[],
  { isTTY = false }: { isTTY?: boolean } = {},
): Promise<Outcome> {
  const stdout = Object.assign(new PassThrough({ highWaterMark: 2 ** 24 }), { isTTY, columns: 80 });
  const stderr = new PassThrough({ highWaterMark: 2 ** 20 });
  const exitCode = await main(['render', ...args], { stdout, stderr, environment: {} });
  const text = String(stdout.read() ?? '');
  return {
    exitCode,
    stdout: text,
    stderr: String(stderr.read() ?? ''),
    events: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}
