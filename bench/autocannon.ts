// autocannon's own report of a subject, for information: on few cores it is itself the limit, so nothing
// is judged by it. It runs in a process of its own and prints as its command line would.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { cleanEnvironment, type Subject } from './subject.js';

const GRACE_MS = 20_000;

/** @throws Error when autocannon is not installed or failed. */
export async function autocannonReport(
  subject: Subject,
  connections: number,
  seconds: number,
): Promise<string> {
  const program = createRequire(import.meta.url).resolve('autocannon');
  const { host, port } = subject.address('http');
  const args = [
    program,
    '--no-progress',
    '-c',
    String(connections),
    '-d',
    String(seconds),
    `http://${host}:${port}/`,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: cleanEnvironment(),
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000 + GRACE_MS);
  const exited = once(child, 'exit');
  const report = await text(child.stderr);
  const [code] = (await exited) as [number | null];
  clearTimeout(timer);
  if (code !== 0) throw new Error(`autocannon failed: ${report.trim().split('\n').at(-1) ?? ''}`);
  return report.trim();
}
