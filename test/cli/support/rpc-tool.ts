// Runs a tool of the area `rpc` inside the test, against a server elsewhere, and keeps what it printed.

import { PassThrough, Readable } from 'node:stream';
import { main } from '../../../cli/main.js';

export interface Outcome {
  readonly exitCode: number;
  /** Standard output, line by line. */
  readonly lines: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
}

export async function runTool(
  args: readonly string[],
  { stdin = Readable.from([]), environment = {} }: { stdin?: Readable; environment?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const stdout = new PassThrough({ highWaterMark: 2 ** 24 });
  const stderr = new PassThrough();
  const exitCode = await main(['rpc', ...args], { stdout, stderr, stdin, environment });
  const text = String(stdout.read() ?? '');
  const lines = text.split('\n').filter((line) => line !== '');
  return { exitCode, lines, stdout: text, stderr: String(stderr.read() ?? '') };
}
