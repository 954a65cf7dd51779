// A long-running command of this program as a child process: its ready line, its log, how it ended.
// `render up` and `kv local` start their processes with it. A child's standard input is its lifeline: it ends when we do.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withoutFlagVariables } from './flags.js';
import type { Io } from './main.js';

export type ListenTexts = Readonly<Record<string, string>>;

export class ChildCommand {
  /** For people: 'worker 2'. */
  readonly name: string;
  /** Where it listens, once it accepts work. Rejects when it ends first. */
  readonly ready: Promise<ListenTexts>;
  /** How it ended, in words; never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #mark: Readonly<Record<string, unknown>>;

  /**
   * @param args a command that takes --json and --lifeline; flags only, our own variables are not passed on
   * @param mark what the lines of its log say besides, so that it is seen whose they are
   */
  constructor(
    name: string,
    args: readonly string[],
    io: Io,
    mark: Readonly<Record<string, unknown>> = { process: name },
  ) {
    this.name = name;
    this.#mark = mark;
    const child = spawn(process.execPath, [launcher(), ...args, '--json', '--lifeline'], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: withoutFlagVariables(io.environment),
    });
    this.#child = child;
    child.stdin.on('error', () => {}); // it ended first, which `ended` tells
    this.ended = endOf(child).then((how) => `${name} (process ${child.pid ?? 'none'}) ended ${how}`);
    this.ready = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const listen = listenIn(line);
        if (listen !== null) resolve(listen);
      });
      void this.ended.then((text) => reject(new Error(text)));
    });
    this.ready.catch(() => {}); // told by `ended`
    createInterface({ input: child.stderr }).on('line', (line) => io.stderr.write(`${this.#tagged(line)}\n`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Lines of the log say whose they are. */
  #tagged(line: string): string {
    return line.startsWith('{')
      ? `${JSON.stringify(this.#mark).slice(0, -1)},${line.slice(1)}`
      : `${this.name}: ${line}`;
  }
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return signal === null ? `with exit code ${String(code)}` : `by ${signal}`;
  } catch (error) {
    return `before it began: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function listenIn(line: string): ListenTexts | null {
  try {
    const { event, listen } = JSON.parse(line) as { event?: unknown; listen?: ListenTexts };
    return event === 'ready' && listen !== undefined ? listen : null;
  } catch {
    return null; // not a line of ours
  }
}

/** The script this very program was started by, in a checkout and when installed. */
function launcher(): string {
  return fileURLToPath(new URL('../../bin/reactor-net.js', import.meta.url));
}
