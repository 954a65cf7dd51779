// One process that a master started: from the start until it ended, with questions and answers in between.
// process-master.ts makes them and decides what follows an end; process-member.ts is the other side.
// The channel is Node's IPC: JSON messages, and its end tells the process that its master is gone.

import { type ChildProcess, spawn } from 'node:child_process';
import { ReactorError, type WireError } from './errors.js';

export interface ProcessCommand {
  /** Arguments for this very Node, the script first. */
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Open descriptors; the process finds them at INHERITED_FD_FIRST and up, in this order. */
  readonly inherit: readonly number[];
}

/** Standard streams are 0 to 2 and the channel is 3. */
export const INHERITED_FD_FIRST = 4;

export type ProcessState = 'starting' | 'ready' | 'draining' | 'ended';

/** How a process ended. */
export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a process says to its master. */
export type MemberMessage =
  | { readonly kind: 'ready' }
  /** Instead of `ready`: why it ends now. */
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: WireError };

/** What a master asks of a process. */
export interface MasterMessage {
  readonly kind: 'ask';
  readonly id: number;
  readonly question: string;
}

interface PendingAnswer {
  resolve(value: unknown): void;
  reject(error: ReactorError): void;
  readonly timer: NodeJS.Timeout;
}

export class ManagedProcess {
  readonly pid: number | undefined;
  /** Resolves when the process accepts work; rejects with REACTOR_PROCESS_LOST if it ends before. */
  readonly ready: Promise<void>;
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, PendingAnswer>();
  #asked = 0;
  #state: ProcessState = 'starting';
  #failure: ReactorError | null = null;
  #becomeReady: () => void = () => {};

  constructor(command: ProcessCommand) {
    // Standard output belongs to the master, whose lines are read by programs.
    this.#child = spawn(process.execPath, command.args, {
      stdio: ['ignore', 2, 2, 'ipc', ...command.inherit],
      env: command.environment,
    });
    this.pid = this.#child.pid;
    this.ended = this.#watchEnd();
    this.ready = new Promise((resolve, reject) => {
      this.#becomeReady = resolve;
      void this.ended.then((end) => {
        reject(this.#failure ?? lost(`the process ended before it was ready (${describe(end)})`));
      });
    });
    // A process that nobody waits for may fail to start; its end says so as well.
    this.ready.catch(() => {});
    this.#child.on('message', (message) => this.#receive(message as MemberMessage));
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** @throws ReactorError REACTOR_TIMEOUT, REACTOR_PROCESS_LOST, or what the process failed with */
  ask(question: string, timeoutMs: number): Promise<unknown> {
    const id = (this.#asked += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#answers.delete(id);
        reject(new ReactorError('REACTOR_TIMEOUT', `process ${this.pid} did not answer in ${timeoutMs} ms`));
      }, timeoutMs);
      this.#answers.set(id, { resolve, reject, timer });
      const message: MasterMessage = { kind: 'ask', id, question };
      this.#child.send(message, (error) => {
        if (error !== null) this.#settle(id)?.reject(lost(error.message));
      });
    });
  }

  /** Asks the process to drain, and kills it at the deadline. Resolves to whether it drained. */
  async stop(deadlineMs: number): Promise<boolean> {
    // One that does not serve yet has nothing to drain, however it ends.
    const served = this.#state === 'ready';
    if (this.#state !== 'ended') this.#state = 'draining';
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), deadlineMs);
    const { exitCode } = await this.ended;
    clearTimeout(timer);
    return exitCode === 0 || !served;
  }

  /** Ends the process at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #watchEnd(): Promise<ProcessEnd> {
    return new Promise((resolve) => {
      const end = (exitCode: number | null, signal: NodeJS.Signals | null): void => {
        this.#state = 'ended';
        for (const id of this.#answers.keys()) this.#settle(id)?.reject(lost(`process ${this.pid} ended`));
        resolve({ exitCode, signal });
      };
      this.#child.once('exit', end);
      // Not started, or not to be signalled: only the first means that there is no process.
      this.#child.on('error', () => {
        if (this.#child.pid === undefined) end(null, null);
      });
    });
  }

  #receive(message: MemberMessage): void {
    switch (message.kind) {
      case 'ready':
        if (this.#state === 'starting') this.#state = 'ready';
        this.#becomeReady();
        return;
      case 'failed':
        this.#failure = ReactorError.fromWire(message.error, 'REACTOR_PROCESS_LOST');
        return;
      case 'answer':
        this.#settle(message.id)?.resolve(message.value);
        return;
      case 'failure':
        this.#settle(message.id)?.reject(ReactorError.fromWire(message.error));
        return;
      default:
        message satisfies never;
    }
  }

  #settle(id: number): PendingAnswer | undefined {
    const pending = this.#answers.get(id);
    this.#answers.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }
}

export function describe({ exitCode, signal }: ProcessEnd): string {
  return signal === null ? `exit code ${exitCode}` : `signal ${signal}`;
}

function lost(message: string): ReactorError {
  return new ReactorError('REACTOR_PROCESS_LOST', message);
}
