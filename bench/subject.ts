// One server under test: a child process that printed the ready line, its addresses and its resources.
// Suites start it, keep it up through all rounds of a comparison and stop it; nothing outlives the bench.

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { type JsonEvent, JsonLines } from './json-lines.js';

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;

export interface SubjectSpec {
  /** As it appears in results: `reactor-net/net`, `node:net`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Beside the inherited environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** It reads commands from its standard input, one JSON object a line. Default: it gets no input. */
  readonly isCommanded?: boolean;
}

export class Subject {
  readonly name: string;
  readonly pid: number;
  readonly listen: Readonly<Record<string, string>>;
  /** All that its ready line says. */
  readonly ready: JsonEvent;
  readonly #child: ChildProcess;
  readonly #lines: JsonLines;

  constructor(name: string, child: ChildProcess, lines: JsonLines, ready: JsonEvent) {
    this.name = name;
    this.#child = child;
    this.#lines = lines;
    this.pid = child.pid ?? 0;
    this.ready = ready;
    this.listen = ready['listen'] as Record<string, string>; // as ready-line.ts and peers/ready.ts write it
  }

  /** Host and port of one listener. */
  address(listener: 'tcp' | 'http' | 'udp' | 'metrics'): { host: string; port: number } {
    const text = this.listen[listener];
    if (text === undefined) throw new Error(`${this.name} has no ${listener} listener`);
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  }

  /** The next line of this kind that the server prints. */
  nextLine(event: string, timeoutMs: number): Promise<JsonEvent> {
    return this.#lines.next(event, timeoutMs);
  }

  /** Only of a subject that is commanded. */
  command(command: object): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM, then SIGKILL for one that does not end; resolves once it is gone. */
  async stop(): Promise<void> {
    await end(this.#child);
  }
}

type Spawned = ChildProcessByStdio<Writable | null, Readable, Readable>;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Starts a server and waits until it accepts work.
 * @throws Error with one line saying why it did not: its last words, a missing file, the deadline.
 */
export async function startSubject(spec: SubjectSpec, pinTo: number | null = null): Promise<Subject> {
  const [command, args] = pinned(spec.command, spec.args, pinTo);
  const env = { ...cleanEnvironment(), ...spec.env };
  const input = spec.isCommanded === true ? 'pipe' : 'ignore';
  const child = spawn(command, args, { stdio: [input, 'pipe', 'pipe'], env }) as Spawned;
  child.stdin?.on('error', () => {}); // it has ended; whoever waits for its answer is told
  const lines = new JsonLines(child.stdout);
  let lastWords = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-2000);
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', (error) => {
    running.delete(child);
    lines.fail(error);
  });
  try {
    return new Subject(spec.name, child, lines, await lines.next('ready', READY_TIMEOUT_MS));
  } catch (cause) {
    await end(child);
    const why = reasonIn(lastWords) ?? (cause as Error).message;
    throw new Error(`did not start: ${why}`, { cause });
  }
}

// A stack trace says it on the line with the error, a command line on its last one.
function reasonIn(lastWords: string): string | undefined {
  const lines = lastWords.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => /Error\b.*:/.test(line)) ?? lines.at(-1);
}

/** Ends everything still running; for a bench that is interrupted. */
export async function stopEverything(): Promise<void> {
  await Promise.all([...running].map(end));
}

/** The same command, bound to one CPU by `taskset` when asked for. */
export function pinned(command: string, args: readonly string[], cpu: number | null): [string, string[]] {
  return cpu === null ? [command, [...args]] : ['taskset', ['-c', String(cpu), command, ...args]];
}

/** What children inherit: everything but our own settings, which would change what is measured. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => keep(name)));
}

// The addon's path is no setting of the server: a sanitizer build must reach it.
function keep(name: string): boolean {
  return !name.startsWith('REACTOR_NET_') || name === 'REACTOR_NET_ADDON';
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
