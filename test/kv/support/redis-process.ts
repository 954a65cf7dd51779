// A real redis-server of its own on a unix socket in a temporary folder, and a client that speaks RESP2 to it.
// For tests that hold ours against it. `isRedisInstalled` says whether there is one on this machine.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const isRedisInstalled: boolean = spawnSync('redis-server', ['--version']).status === 0;

const DEADLINE_MS = 10_000;

/** A RESP2 value as plain data: integers as `:1`, states as `+OK`, errors as `-ERR …`, so that none looks like a bulk. */
export type Plain = string | null | Plain[] | { readonly nil: 'array' } | { readonly token: string };

export class RedisProcess {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #socket: net.Socket;
  #input: Buffer = Buffer.alloc(0);
  #waiting: {
    count: number;
    replies: Plain[];
    done: (replies: Plain[]) => void;
    failed: (error: Error) => void;
  } | null = null;

  private constructor(child: ChildProcess, folder: string, socket: net.Socket) {
    this.#child = child;
    this.#folder = folder;
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    const fail = (error?: Error): void =>
      this.#waiting?.failed(error ?? new Error('redis-server closed the connection'));
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  static async start(): Promise<RedisProcess> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'reactor-net-redis-'));
    const file = path.join(folder, 'redis.sock');
    const flags = ['--port', '0', '--unixsocket', file, '--save', '', '--appendonly', 'no', '--dir', folder];
    const child = spawn('redis-server', flags, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const signal = AbortSignal.timeout(DEADLINE_MS);
      for await (const line of createInterface({ input: child.stdout, signal })) {
        if (line.includes('ready to accept connections')) break;
      }
      child.stdout.resume();
      const socket = net.connect(file);
      await once(socket, 'connect', { signal });
      return new RedisProcess(child, folder, socket);
    } catch (error) {
      await end(child, folder);
      throw error;
    }
  }

  /** Sends commands in one write; gives their replies in order. One call at a time. */
  async run(commands: readonly (readonly string[])[]): Promise<Plain[]> {
    if (commands.length === 0) return [];
    const replies = new Promise<Plain[]>((done, failed) => {
      this.#waiting = { count: commands.length, replies: [], done, failed };
    });
    const text = commands.map(
      (args) =>
        `*${args.length}\r\n${args.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`,
    );
    this.#socket.write(text.join(''), 'latin1');
    return replies;
  }

  async stop(): Promise<void> {
    this.#socket.destroy();
    await end(this.#child, this.#folder);
  }

  #take(chunk: Buffer): void {
    this.#input = Buffer.concat([this.#input, chunk]);
    const waiting = this.#waiting;
    if (waiting === null) return;
    let at = 0;
    for (let missing = waiting.count - waiting.replies.length; missing > 0; missing -= 1) {
      const parsed = parse(this.#input, at);
      if (parsed === null) break;
      waiting.replies.push(parsed.value);
      at = parsed.end;
    }
    this.#input = this.#input.subarray(at);
    if (waiting.replies.length < waiting.count) return;
    this.#waiting = null;
    waiting.done(waiting.replies);
  }
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
}

/** One reply from `at` on; null when it is not complete. */
function parse(bytes: Buffer, at: number): { value: Plain; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd === -1) return null;
  const line = bytes.toString('latin1', at + 1, lineEnd);
  const mark = String.fromCharCode(bytes[at]!);
  if (mark === '+' || mark === '-' || mark === ':')
    return { value: { token: mark + line }, end: lineEnd + 2 };
  const length = Number(line);
  if (mark === '$') {
    if (length === -1) return { value: null, end: lineEnd + 2 };
    const end = lineEnd + 2 + length + 2;
    if (bytes.length < end) return null;
    return { value: bytes.toString('latin1', lineEnd + 2, end - 2), end };
  }
  if (mark !== '*') throw new Error(`not RESP2: ${mark}${line}`);
  if (length === -1) return { value: { nil: 'array' }, end: lineEnd + 2 };
  const items: Plain[] = [];
  let next = lineEnd + 2;
  for (let left = length; left > 0; left -= 1) {
    const item = parse(bytes, next);
    if (item === null) return null;
    items.push(item.value);
    next = item.end;
  }
  return { value: items, end: next };
}
