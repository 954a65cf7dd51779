// A transaction while it is put together: conditions, what is done when all hold, what else; then one step at one revision.

import type { MessageInit } from '../../rpc/index.js';
import type { Compare, Outcome } from '../proto/kv.js';
import type { Operation } from './operations.js';

export interface TxnAnswer {
  /** All conditions held. */
  readonly succeeded: boolean;
  readonly revision: number;
  /** Of the commands that were done, in their order; each of the type of its operation. */
  readonly answers: readonly unknown[];
}

export class Txn {
  readonly #carryOut: (operation: Operation<TxnAnswer>) => Promise<TxnAnswer>;
  readonly #compares: MessageInit<Compare>[] = [];
  readonly #success: Operation<unknown>[] = [];
  readonly #failure: Operation<unknown>[] = [];

  /** Clerk.txn() makes it. */
  constructor(carryOut: (operation: Operation<TxnAnswer>) => Promise<TxnAnswer>) {
    this.#carryOut = carryOut;
  }

  if(...compares: readonly MessageInit<Compare>[]): this {
    this.#compares.push(...compares);
    return this;
  }

  do(...operations: readonly Operation<unknown>[]): this {
    this.#success.push(...operations);
    return this;
  }

  else(...operations: readonly Operation<unknown>[]): this {
    this.#failure.push(...operations);
    return this;
  }

  /** @throws KvError of the command that could not be done: then none was */
  commit(): Promise<TxnAnswer> {
    return this.#carryOut({
      command: {
        txn: {
          compares: this.#compares,
          success: this.#success.map(({ command }) => command),
          failure: this.#failure.map(({ command }) => command),
        },
      },
      isRead: [...this.#success, ...this.#failure].every(({ isRead }) => isRead),
      answerOf: (outcome) => this.#answerOf(outcome),
    });
  }

  #answerOf({ revision, txn }: Outcome): TxnAnswer {
    const succeeded = txn?.succeeded ?? false;
    const done = succeeded ? this.#success : this.#failure;
    return {
      succeeded,
      revision: Number(revision),
      answers: (txn?.outcomes ?? []).map((outcome, at) => done[at]!.answerOf(outcome)),
    };
  }
}
