// Runs a command of the area `kv` inside this process and keeps what it prints.

import { Readable, Writable } from 'node:stream';
import { main } from '../../../cli/main.js';

export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** With --json: one object for each line of standard output. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

class Text extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

export async function runKv(args: readonly string[], stdin = ''): Promise<Printed> {
  const stdout = new Text();
  const stderr = new Text();
  const io = { stdout, stderr, stdin: Readable.from([Buffer.from(stdin)]), environment: {} };
  const code = await main(['kv', ...args], io);
  const lines = args.includes('--json')
    ? stdout.text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    : [];
  return { code, out: stdout.text, err: stderr.text, lines };
}
