// The inside of a process that a master started: it says when it is ready and answers the master's questions.
// process-master.ts is the other end of the channel; the application makes one member when it was started so.
// Signals are the application's: SIGTERM from the master means drain, the terminal's SIGINT is the master's.

import { errorToWire, ReactorError } from './errors.js';
import type { MasterMessage, MemberMessage } from './managed-process.js';

type Answer = () => unknown;

export class ProcessMember {
  readonly #answers: Readonly<Record<string, Answer>>;

  /**
   * @param answers by question; the result, which may be a promise, crosses as JSON
   * @throws ReactorError REACTOR_UNSUPPORTED when no master started this process
   */
  constructor(answers: Readonly<Record<string, Answer>>) {
    if (process.send === undefined) {
      throw new ReactorError('REACTOR_UNSUPPORTED', 'this process was not started by a process master');
    }
    this.#answers = answers;
    process.on('message', (message) => void this.#receive(message as MasterMessage));
  }

  /** Tells the master that this process accepts work. */
  ready(): void {
    this.#send({ kind: 'ready' });
  }

  /** Tells the master instead why this process will not; resolves when it was told, or is gone. */
  fail(error: unknown): Promise<void> {
    const message: MemberMessage = { kind: 'failed', error: errorToWire(error, 'REACTOR_PROCESS_LOST') };
    return new Promise((resolve) => {
      if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
      else resolve();
    });
  }

  /** Calls back once when the master is gone: nobody would restart or stop this process any more. */
  onMasterLost(callback: () => void): void {
    if (process.connected) process.once('disconnect', callback);
    else callback();
  }

  /** Lets the process end: an open channel keeps it alive. */
  leave(): void {
    if (process.connected) process.disconnect();
  }

  async #receive({ id, question }: MasterMessage): Promise<void> {
    try {
      const answer = this.#answers[question];
      if (answer === undefined) {
        throw new ReactorError('REACTOR_UNKNOWN_TASK', `nobody answers "${question}"`);
      }
      this.#send({ kind: 'answer', id, value: await answer() });
    } catch (error) {
      this.#send({ kind: 'failure', id, error: errorToWire(error, 'REACTOR_TASK_FAILED') });
    }
  }

  #send(message: MemberMessage): void {
    // The master may be gone by now; onMasterLost says so, and nobody is left to be told.
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  }
}
