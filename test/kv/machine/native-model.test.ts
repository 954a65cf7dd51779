// Random native commands against a model that is a plain map and does everything the slow way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompareOperator } from '../../../kv/proto/kv.js';
import { seededRandom } from '../support/seeded-random.js';
import { bytes, type CommandInit, NativeLog, text, type Told } from './native-harness.js';

interface ModelKey {
  value: string;
  create: number;
  mod: number;
  version: number;
  expireAtMs: number;
  lease: number;
}

class Model {
  keys = new Map<string, ModelKey>();
  leases = new Map<number, { ttlMs: number; deadlineMs: number }>();
  counters = new Map<string, number>();
  revision = 0;
  nowMs: number;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** Everything overdue goes, leases first, as one revision. */
  advance(byMs: number): void {
    this.nowMs += byMs;
    const before = this.keys.size;
    for (const [id, { deadlineMs }] of this.leases) if (deadlineMs <= this.nowMs) this.endLease(id);
    for (const [key, { expireAtMs }] of this.keys) {
      if (expireAtMs !== 0 && expireAtMs <= this.nowMs) this.keys.delete(key);
    }
    if (this.keys.size < before) this.revision += 1;
  }

  endLease(id: number): void {
    this.leases.delete(id);
    for (const [key, { lease }] of this.keys) if (lease === id) this.keys.delete(key);
  }

  put(key: string, value: string, lease: number, ttlMs: number): void {
    const old = this.keys.get(key);
    const mod = this.revision + 1;
    this.keys.set(key, {
      value,
      create: old?.create ?? mod,
      mod,
      version: (old?.version ?? 0) + 1,
      expireAtMs: ttlMs === 0 ? 0 : this.nowMs + ttlMs,
      lease,
    });
  }

  sorted(): [string, ModelKey][] {
    return [...this.keys].toSorted(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** One random command, and what the model says to it. */
interface Step {
  readonly command: CommandInit;
  readonly check: (told: Told) => void;
}

class Steps {
  readonly #model: Model;
  readonly #random: () => number;

  constructor(model: Model, random: () => number) {
    this.#model = model;
    this.#random = random;
  }

  next(): Step {
    const makers = [
      () => this.#put(),
      () => this.#put(),
      () => this.#append(),
      () => this.#delete(),
      () => this.#deleteRange(),
      () => this.#compareAndSet(),
      () => this.#txn(),
      () => this.#touch(),
      () => this.#grant(),
      () => this.#keepAlive(),
      () => this.#revoke(),
      () => this.#sequential(),
    ];
    return makers[this.#below(makers.length)]!();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #key(): string {
    return `k${this.#below(12)}`;
  }

  #lease(): number {
    const ids = [...this.#model.leases.keys()];
    const dice = this.#random();
    if (dice < 0.6) return 0;
    return dice < 0.95 && ids.length > 0 ? ids[this.#below(ids.length)]! : 900 + this.#below(3);
  }

  #ttl(): number {
    return this.#random() < 0.6 ? 0 : 1 + this.#below(3000);
  }

  #put(): Step {
    const [key, value, lease, ttlMs] = [this.#key(), `v${this.#below(100)}`, this.#lease(), this.#ttl()];
    const model = this.#model;
    const command = {
      put: { key: bytes(key), value: bytes(value), lease: BigInt(lease), ttlMs: BigInt(ttlMs) },
    };
    if (lease !== 0 && !model.leases.has(lease)) return refused(command, 'KV_LEASE_NOT_FOUND');
    const isNew = !model.keys.has(key);
    model.put(key, value, lease, ttlMs);
    const { version } = model.keys.get(key)!;
    model.revision += 1;
    return {
      command,
      check: ({ put }) => assert.deepEqual([put.isNew, put.version], [isNew, BigInt(version)]),
    };
  }

  #append(): Step {
    const [key, value] = [this.#key(), 'xyz'.slice(this.#below(3))];
    const model = this.#model;
    const old = model.keys.get(key);
    model.put(key, (old?.value ?? '') + value, old?.lease ?? 0, 0);
    const after = model.keys.get(key)!;
    after.expireAtMs = old?.expireAtMs ?? 0;
    model.revision += 1;
    return {
      command: { append: { key: bytes(key), value: bytes(value) } },
      check: ({ append }) => assert.equal(append.length, BigInt(after.value.length)),
    };
  }

  #delete(): Step {
    const key = this.#key();
    const deleted = this.#model.keys.delete(key);
    if (deleted) this.#model.revision += 1;
    return {
      command: { delete: { key: bytes(key) } },
      check: (told) => assert.equal(told.delete.deleted, deleted ? 1n : 0n),
    };
  }

  #deleteRange(): Step {
    const [start, end] = [this.#key(), this.#key()];
    const limit = this.#below(4);
    const model = this.#model;
    const keys = model
      .sorted()
      .map(([key]) => key)
      .filter((key) => key >= start && key < end);
    const gone = limit === 0 ? keys : keys.slice(0, limit);
    for (const key of gone) model.keys.delete(key);
    if (gone.length > 0) model.revision += 1;
    return {
      command: { deleteRange: { range: { start: bytes(start), end: bytes(end) }, limit } },
      check: (told) =>
        assert.deepEqual(
          [told.delete.deleted, told.delete.more],
          [BigInt(gone.length), gone.length < keys.length],
        ),
    };
  }

  #compareAndSet(): Step {
    const [key, newValue] = [this.#key(), `c${this.#below(100)}`];
    const model = this.#model;
    const old = model.keys.get(key);
    const kind = this.#below(4);
    const isRight = this.#random() < 0.7;
    const off = isRight ? 0 : 1;
    const expected = [
      { value: bytes(isRight ? (old?.value ?? 'v1') : 'never') },
      { version: BigInt((old?.version ?? 0) + off) },
      { modRevision: BigInt((old?.mod ?? 0) + off) },
      { absent: isRight === (old === undefined) },
    ][kind]!;
    const succeeds = kind === 0 ? isRight && old !== undefined : isRight;
    if (succeeds) {
      model.put(key, newValue, 0, 0);
      model.revision += 1;
    }
    return {
      command: { compareAndSet: { key: bytes(key), newValue: bytes(newValue), ...expected } },
      check: ({ compareAndSet }) => assert.equal(compareAndSet.succeeded, succeeds),
    };
  }

  #txn(): Step {
    const model = this.#model;
    const [watched, a, b, c] = [this.#key(), this.#key(), this.#key(), this.#key()];
    const version = this.#below(3);
    const lease = this.#lease();
    const holds = (model.keys.get(watched)?.version ?? 0) > version;
    const put = (key: string, value: string) => ({
      put: { key: bytes(key), value: bytes(value), lease: BigInt(lease) },
    });
    const command = {
      txn: {
        compares: [{ key: bytes(watched), operator: CompareOperator.GREATER, version: BigInt(version) }],
        success: [put(a, 't1'), { delete: { key: bytes(b) } }, { get: { key: bytes(a) } }],
        failure: [{ append: { key: bytes(c), value: bytes('f') } }, put(b, 't2')],
      },
    };
    if (lease !== 0 && !model.leases.has(lease)) return refused(command, 'KV_LEASE_NOT_FOUND');
    if (holds) {
      model.put(a, 't1', lease, 0);
      model.keys.delete(b);
    } else {
      const old = model.keys.get(c);
      model.put(c, `${old?.value ?? ''}f`, old?.lease ?? 0, 0);
      model.keys.get(c)!.expireAtMs = old?.expireAtMs ?? 0;
      model.put(b, 't2', lease, 0);
    }
    model.revision += 1;
    const got = model.keys.get(a)?.value ?? null;
    return {
      command,
      check: ({ txn }) => {
        assert.equal(txn.succeeded, holds);
        if (!holds) return;
        const { kv } = txn.outcomes[2]!.get!;
        assert.equal(kv === undefined ? null : text(kv.value), got);
      },
    };
  }

  #touch(): Step {
    const [key, ttlMs] = [this.#key(), this.#ttl()];
    const model = this.#model;
    const slot = model.keys.get(key);
    if (slot !== undefined && (ttlMs !== 0 || slot.expireAtMs !== 0)) {
      slot.expireAtMs = ttlMs === 0 ? 0 : model.nowMs + ttlMs;
      slot.mod = model.revision + 1;
      model.revision += 1;
    }
    return {
      command: { touch: { key: bytes(key), ttlMs: BigInt(ttlMs) } },
      check: ({ touch }) => assert.equal(touch.found, slot !== undefined),
    };
  }

  #grant(): Step {
    const model = this.#model;
    const id = 1 + this.#below(8);
    const ttlMs = 100 + this.#below(4000);
    const command = { leaseGrant: { id: BigInt(id), ttlMs: BigInt(ttlMs) } };
    if (model.leases.has(id)) return refused(command, 'KV_LEASE_EXISTS');
    model.leases.set(id, { ttlMs, deadlineMs: model.nowMs + ttlMs });
    return { command, check: ({ lease }) => assert.equal(lease.id, BigInt(id)) };
  }

  #keepAlive(): Step {
    const model = this.#model;
    const id = 1 + this.#below(8);
    const lease = model.leases.get(id);
    if (lease !== undefined) lease.deadlineMs = model.nowMs + lease.ttlMs;
    return {
      command: { leaseKeepAlive: { ids: [BigInt(id)] } },
      check: ({ leases }) => assert.equal(leases.leases[0]!.remainingMs ?? 0n, BigInt(lease?.ttlMs ?? 0)),
    };
  }

  #revoke(): Step {
    const model = this.#model;
    const id = 1 + this.#below(8);
    const command = { leaseRevoke: { id: BigInt(id) } };
    if (!model.leases.has(id)) return refused(command, 'KV_LEASE_NOT_FOUND');
    const before = model.keys.size;
    model.endLease(id);
    if (model.keys.size < before) model.revision += 1;
    return {
      command,
      check: ({ leaseRevoke }) => assert.equal(leaseRevoke.deleted, BigInt(before - model.keys.size)),
    };
  }

  #sequential(): Step {
    const model = this.#model;
    const prefix = `q${this.#below(2)}/`;
    const number = (model.counters.get(prefix) ?? 0) + 1;
    model.counters.set(prefix, number);
    const key = `${prefix}${String(number).padStart(10, '0')}`;
    model.put(key, 's', 0, 500);
    model.revision += 1;
    return {
      command: { putSequential: { prefix: bytes(prefix), value: bytes('s'), ttlMs: 500n } },
      check: (told) => assert.equal(text(told.key.key), key),
    };
  }
}

function refused(command: CommandInit, code: string): Step {
  return { command, check: ({ error }) => assert.equal(error.code, code) };
}

function compareAll(log: NativeLog, model: Model): void {
  const { kvs } = log.query({ range: { limit: 10_000 } }).range;
  const have = kvs.map((kv) => [
    text(kv.key),
    text(kv.value),
    Number(kv.createRevision),
    Number(kv.modRevision),
    Number(kv.version),
    Number(kv.ttlMs),
    Number(kv.lease),
  ]);
  const want = model
    .sorted()
    .map(([key, { value, create, mod, version, expireAtMs, lease }]) => [
      key,
      value,
      create,
      mod,
      version,
      expireAtMs === 0 ? 0 : expireAtMs - model.nowMs,
      lease,
    ]);
  assert.deepEqual(have, want);
  assert.equal(log.machine.revision, model.revision);
  const leases = log.query({ leaseList: {} }).leases.leases.map(({ id, remainingMs }) => [id, remainingMs]);
  assert.deepEqual(
    leases,
    [...model.leases]
      .toSorted(([a], [b]) => a - b)
      .map(([id, { deadlineMs }]) => [BigInt(id), BigInt(deadlineMs - model.nowMs)]),
  );
}

for (const seed of [1, 22, 333, 4444]) {
  test(`random commands have the outcomes and leave the state that a plain map says, seed ${seed}`, () => {
    const random = seededRandom(seed);
    const log = new NativeLog();
    const model = new Model(log.nowMs);
    const steps = new Steps(model, random);
    for (let step = 0; step < 1500; step += 1) {
      try {
        if (random() < 0.1) {
          const byMs = Math.floor(random() * 800);
          log.advance(byMs);
          model.advance(byMs);
        }
        const { command, check } = steps.next();
        check(log.run(command));
        if (step % 20 === 0) compareAll(log, model);
        if (step % 300 === 299) log.restart();
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}`, { cause: error });
      }
    }
    compareAll(log, model);
  });
}
