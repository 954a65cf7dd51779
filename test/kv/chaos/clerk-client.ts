// A chaos client that uses the Clerk, as applications do: what the Clerk says of a failed write is believed, so that a
// write it calls surely not done and that is seen later is a violation.

import { setTimeout as pause } from 'node:timers/promises';
import { Clerk, KvError, mayHaveRun } from '../../../kv/index.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { HistoryRecorder } from '../history/recorder.js';
import type { RegisterInput, RegisterOutput } from '../history/register-model.js';
import type { ClientSettings, Endpoint, OutcomeCounts } from './client-settings.js';
import type { KeyRing, RingKey } from './key-ring.js';

const NO_ENDPOINT_PAUSE_MS = 50;

export class ClerkClient {
  readonly #id: number;
  readonly #random: SeededRandom;
  readonly #keys: KeyRing;
  readonly #recorder: HistoryRecorder;
  readonly #endpoints: () => readonly Endpoint[];
  readonly #settings: ClientSettings;
  readonly counts: OutcomeCounts = { answered: 0, unknown: 0, never: 0 };
  #nextValue = 1;

  constructor(
    id: number,
    random: SeededRandom,
    keys: KeyRing,
    recorder: HistoryRecorder,
    endpoints: () => readonly Endpoint[],
    settings: ClientSettings,
  ) {
    this.#id = id;
    this.#random = random;
    this.#keys = keys;
    this.#recorder = recorder;
    this.#endpoints = endpoints;
    this.#settings = settings;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#endpoints().length === 0) await pause(NO_ENDPOINT_PAUSE_MS);
    if (signal.aborted) return;
    // Members that come later are learned from the others.
    const clerk = new Clerk({
      endpoints: this.#endpoints().map(({ rpc }) => rpc),
      timeoutMs: 2 * this.#settings.timeoutMs,
      attemptTimeoutMs: this.#settings.timeoutMs,
      random: () => this.#random.fraction(),
    });
    try {
      while (!signal.aborted) {
        await this.#work(clerk);
        await pause(this.#random.integer(0, this.#settings.thinkMsMax));
      }
    } finally {
      await clerk.close(0);
    }
  }

  async #work(clerk: Clerk): Promise<void> {
    const draw = this.#random.integer(1, 100);
    const key = this.#keys.pick('register', this.#random);
    const { name } = key;
    const value = `c${this.#id}.${(this.#nextValue += 1)} `;
    const read = (): Promise<RegisterOutput | null> =>
      this.#perform(key, { op: 'get' }, async () => {
        const pair = await clerk.get(name);
        return { value: pair?.text ?? null, version: pair?.modRevision ?? 0 };
      });
    if (draw <= 35) await read();
    else if (draw <= 60)
      await this.#perform(key, { op: 'put', value }, async () => {
        const { revision } = await clerk.put(name, value);
        return { version: revision };
      });
    else if (draw <= 75)
      await this.#perform(key, { op: 'append', value }, async () => ({
        length: await clerk.append(name, value),
      }));
    else if (draw <= 80)
      await this.#perform(key, { op: 'delete' }, async () => ({ existed: await clerk.delete(name) }));
    else {
      const version = (await read())?.version;
      if (version === undefined) return;
      const expected = version === 0 ? ('absent' as const) : { modRevision: version };
      await this.#perform(key, { op: 'cas-version', version, value }, async () => {
        const { succeeded, current } = await clerk.compareAndSet(name, expected, value);
        return { swapped: succeeded, version: current?.modRevision ?? 0 };
      });
    }
  }

  async #perform(
    key: RingKey,
    input: RegisterInput,
    carryOut: () => Promise<RegisterOutput>,
  ): Promise<RegisterOutput | null> {
    const id = this.#recorder.call(this.#id, 'register-versions', key.name, input);
    try {
      const output = await carryOut();
      this.#recorder.returned(id, output);
      this.counts.answered += 1;
      return output;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      if (input.op === 'get' || !mayHaveRun(error)) {
        this.#recorder.never(id);
        this.counts.never += 1;
      } else {
        this.#recorder.unknown(id);
        this.counts.unknown += 1;
        key.lost += 1;
      }
      return null;
    }
  }
}
