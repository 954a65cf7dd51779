// Echo servers as processes of their own, for tests that kill and restart them. What is left is killed at the end.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./echo-process.js', import.meta.url));

export class ServerProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly exited: Promise<unknown>;
  readonly #lines: string[];

  constructor(child: ChildProcess, port: number, lines: string[], exited: Promise<unknown>) {
    this.child = child;
    this.port = port;
    this.exited = exited;
    this.#lines = lines;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** SIGTERM; resolves to how many calls were cut. */
  async drain(): Promise<number> {
    this.child.kill('SIGTERM');
    await this.exited;
    const line = this.#lines.find((text) => text.includes('"closed"'));
    assert(line !== undefined, 'the server said how it ended');
    return (JSON.parse(line) as { cut: number }).cut;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

export async function startServerProcess(
  t: TestContext,
  { port = 0, transport = 'net' }: { port?: number; transport?: string } = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [PROGRAM, String(port), transport], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const [line] = (await Promise.race([once(reader, 'line'), exited.then(() => [''])])) as [string];
  assert(line.includes('"ready"'), 'the server process is ready');
  return new ServerProcess(child, (JSON.parse(line) as { port: number }).port, lines, exited);
}
