// Runs the real program, bin/reactor-net.js, as a child process and reads what it prints.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const LAUNCHER: string = fileURLToPath(new URL('../../../bin/reactor-net.js', import.meta.url));
const PATIENCE_MS = 30_000;

export interface Ready {
  readonly event: 'ready';
  readonly pid: number;
  readonly listen: Readonly<Record<string, string>>;
}

/** A command that is running. Whatever is left of it is killed when the test ends. */
export class Command {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly exitCode: Promise<number | null>;
  stderr = '';
  #onLine: () => void = () => {};

  constructor(
    t: TestContext,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    program: string = LAUNCHER,
    stdin: 'ignore' | 'pipe' = 'ignore',
  ) {
    this.child = spawn(process.execPath, [program, ...args], {
      stdio: [stdin, 'pipe', 'pipe'],
      env: { ...withoutOurs(process.env), ...environment },
    });
    this.exitCode = once(this.child, 'close').then(([code]) => code as number | null);
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.lines.push(line);
      this.#onLine();
    });
    this.child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    t.after(async () => {
      this.child.kill('SIGKILL');
      await this.exitCode;
    });
  }

  /** The first line that satisfies the condition, printed already or to come. */
  async line(condition: (line: string) => boolean): Promise<string> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE_MS);
    const ended = this.exitCode.then(() => 'ended' as const);
    try {
      for (let seen = 0; ; seen += 1) {
        while (this.lines.length <= seen) {
          const next = new Promise<'line'>((resolve) => (this.#onLine = () => resolve('line')));
          assert.equal(await Promise.race([next, ended]), 'line', `the command ended: ${this.stderr}`);
        }
        if (condition(this.lines[seen]!)) return this.lines[seen]!;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The ready line of a command started with --json. */
  async ready(): Promise<Ready> {
    return JSON.parse(await this.line((line) => line.includes('"ready"'))) as Ready;
  }

  /** Signals the command and resolves to its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exitCode;
  }
}

/** The addon of the tests is the addon of the command; nothing else of ours is passed on. */
function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => name === 'REACTOR_NET_ADDON' || !name.startsWith('REACTOR_NET_'),
    ),
  );
}
