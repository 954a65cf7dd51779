// A backend of one machine without a log: what is submitted is applied in a microtask, one batch per submit.

import type {
  Backend,
  BackendStatus,
  Done,
  EncodedItems,
  PublishListener,
  ReadDone,
} from '../../../kv/backend.js';
import { KvError } from '../../../kv/errors.js';
import { BatchWriter, ItemWriter, timeBatch } from '../../../kv/machine/batch.js';
import type { ChangeSet } from '../../../kv/machine/changes.js';
import { Machine, type MachineOptions } from '../../../kv/machine/machine.js';
import { PROTOCOL_VERSION } from '../../../kv/machine/protocol-version.js';
import { SETTING_PROTOCOL } from '../../../kv/machine/settings.js';

const BOOT = 1;

export class LocalBackend implements Backend {
  /** Log time of the next batch, in milliseconds. */
  nowMs: number;
  readonly machine: Machine;
  readonly #listeners = new Set<(changes: ChangeSet) => void>();
  readonly #batch = new BatchWriter();
  #index = 0;
  #sequence = 0;
  #closed = false;
  #publish: PublishListener | null = null;
  /** When set, submits and reads fail with it. */
  failure: KvError | null = null;
  readonly #clusterId: number | undefined;

  constructor(options: MachineOptions & { nowMs?: number; clusterId?: number } = {}) {
    const { nowMs = 1_000_000, clusterId, ...rest } = options;
    this.#clusterId = clusterId;
    this.nowMs = nowMs;
    this.machine = new Machine({
      ...rest,
      onPublish: (channel, message) => this.#publish?.(channel, message) ?? 0,
      onChanges: (changes) => {
        rest.onChanges?.(changes);
        for (const listener of this.#listeners) listener(changes);
      },
    });
    const items = new ItemWriter();
    items.setting(SETTING_PROTOCOL, String(rest.protocolVersion ?? PROTOCOL_VERSION));
    this.#batch.add(items.take());
    this.machine.apply(0, 1, this.#batch.take({ origin: 0, boot: BOOT, sequence: 0 }, nowMs), false);
    this.advance(0);
  }

  submit(items: EncodedItems, done: Done): void {
    queueMicrotask(() => {
      const failure = this.#closed ? new KvError('KV_CLOSED', 'the backend was closed') : this.failure;
      if (failure !== null) return done(failure, null);
      this.#batch.add(items);
      this.#sequence += 1;
      this.#index += 1;
      const data = this.#batch.take({ origin: 1, boot: BOOT, sequence: this.#sequence }, this.nowMs);
      done(null, this.machine.apply(this.#index, 1, data, true));
    });
  }

  read(done: ReadDone): void {
    queueMicrotask(() =>
      done(this.#closed ? new KvError('KV_CLOSED', 'the backend was closed') : this.failure),
    );
  }

  /** Lets log time pass, as a leader's time entry does. */
  advance(byMs: number): void {
    this.nowMs += byMs;
    this.#index += 1;
    this.machine.apply(this.#index, 1, timeBatch({ origin: 1, boot: BOOT, sequence: 0 }, this.nowMs), false);
  }

  status(): BackendStatus & { readonly clusterId?: number } {
    const appliedIndex = this.#index;
    const clusterId = this.#clusterId;
    const known = clusterId === undefined ? {} : { clusterId };
    return { ...known, id: 1, role: 'leader', leader: 1, term: 1, commitIndex: appliedIndex, appliedIndex };
  }

  onChanges(listener: (changes: ChangeSet) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onPublish(listener: PublishListener): () => void {
    this.#publish = listener;
    return () => {
      this.#publish = null;
    };
  }

  close(): void {
    this.#closed = true;
  }
}
