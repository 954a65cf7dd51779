// The clerk of the labs since 2025 on ours: Put with a version, repeated until there is an answer. Ours is told not to use a
// session, so that it says when it does not know; a repetition that then finds another version is a Maybe.

import { type Clerk, KvError, mayHaveRun } from '../../../kv/index.js';
import type { LabHistory } from './lab-history.js';

export type PutVerdict = 'ok' | 'version' | 'no-key' | 'maybe';

const PAUSE_MS = 10;

export interface Versioned {
  readonly value: string | null;
  /** 0: no such key. */
  readonly version: number;
}

export class VersionedClerk {
  readonly #clerk: Clerk;
  readonly #client: number;
  readonly #history: LabHistory;
  readonly #sleep: (ms: number) => Promise<void>;

  /** @param clerk one without a session */
  constructor(clerk: Clerk, client: number, history: LabHistory, sleep: (ms: number) => Promise<void>) {
    this.#clerk = clerk;
    this.#client = client;
    this.#history = history;
    this.#sleep = sleep;
  }

  async get(key: string): Promise<Versioned> {
    const call = this.#history.call(this.#client, key, { op: 'get' });
    const pair = await this.#clerk.get(key);
    const found = { value: pair?.text ?? null, version: pair?.version ?? 0 };
    call.returned(found);
    return found;
  }

  /** @param version that the key should have; 0: there should be none */
  async put(key: string, value: string, version: number): Promise<PutVerdict> {
    let isRepeated = false;
    for (;;) {
      const input = { op: 'cas-version', version, value } as const;
      const call = this.#history.call(this.#client, key, input);
      try {
        const { succeeded, current } = await this.#clerk.compareAndSet(
          key,
          version === 0 ? 'absent' : { version },
          value,
        );
        call.returned({ swapped: succeeded, version: current?.version ?? 0 });
        if (succeeded) return 'ok';
        if (isRepeated) return 'maybe';
        return current === null ? 'no-key' : 'version';
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        if (mayHaveRun(error)) {
          isRepeated = true;
          call.unknown();
        } else {
          call.never();
        }
        await this.#sleep(PAUSE_MS);
      }
    }
  }

  close(): Promise<void> {
    return this.#clerk.close(0);
  }
}
