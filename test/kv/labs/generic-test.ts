// GenericTest of the kvraft labs: clients work while the network splits, all members crash and come back, and the log has to
// stay short. Two kinds of clients: those of 2024, which append and read, and those of 2025, which put with versions.

import assert from 'node:assert/strict';
import { type KvPair } from '../../../kv/index.js';
import { ELECTION_MS, type Lab } from './lab.js';
import { LabHistory } from './lab-history.js';
import { VersionedClerk } from './versioned-clerk.js';

export interface GenericOptions {
  readonly clients: number;
  readonly crashes?: boolean;
  readonly partitions?: boolean;
  readonly randomKeys?: boolean;
  readonly kind: 'append' | 'versioned';
}

const ITERATIONS = 3;
/** Of log, in snapshots' bytes. */
const LOG_TIMES_MAX = 8;
const RANDOM_KEYS = 100;

export async function generic(lab: Lab, options: GenericOptions): Promise<void> {
  const { clients, crashes = false, partitions = false, kind } = options;
  const history = new LabHistory(lab);
  const counts: PutCounts = new Map();
  const workers = Array.from({ length: clients }, (_, client) =>
    kind === 'append'
      ? new Appender(lab, history, client, clients, options.randomKeys === true)
      : new Putter(lab, history, client, options.randomKeys === true, counts),
  );
  for (let iteration = 0; iteration < ITERATIONS; iteration += 1) {
    const running = { isOver: false };
    const working = workers.map((worker) => worker.work(running));
    const failed = Promise.all(working).then(() => undefined);
    failed.catch(() => {}); // told below
    const splitting = partitions ? split(lab, running) : Promise.resolve();
    // Partitions begin after a second; one takes another.
    await lab.sleep(partitions ? 2500 : 1000);
    running.isOver = true;
    await splitting;
    lab.heal();
    if (partitions) await lab.sleep(ELECTION_MS);
    if (crashes) {
      await lab.crash(...lab.members());
      await lab.sleep(1000);
      await lab.restart(...lab.members());
    }
    await failed;
    await checkState(lab);
  }
  for (const worker of workers) await worker.check();
  history.check();
  assert(history.size > clients * ITERATIONS, `only ${history.size} operations`);
  for (const worker of workers) await worker.close();
}

async function split(lab: Lab, running: { readonly isOver: boolean }): Promise<void> {
  await lab.sleep(1000);
  while (!running.isOver) {
    const left = lab.members().filter(() => lab.random.chance(0.5));
    lab.partition(
      left,
      lab.members().filter((member) => !left.includes(member)),
    );
    await lab.sleep(ELECTION_MS + lab.random.integer(0, 199));
  }
}

/** The log is short where there are snapshots, and there are none where there should be none. */
async function checkState(lab: Lab): Promise<void> {
  const { snapshotBytes = 0 } = lab.options;
  for (const member of lab.members()) {
    if (snapshotBytes === 0) {
      assert.equal((await lab.status(member))?.snapshotIndex ?? 0, 0, 'nobody asked for a snapshot');
      continue;
    }
    let bytes = 0;
    const isShort = async (): Promise<boolean> => {
      bytes = (await lab.status(member))?.logBytes ?? Infinity;
      return bytes <= LOG_TIMES_MAX * snapshotBytes;
    };
    assert(await lab.until(isShort, 2000), `member ${member} has a log of ${bytes} bytes`);
  }
}

interface Worker {
  work(running: { readonly isOver: boolean }): Promise<void>;
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Of 2024: a key of its own to append to, or any client's. */
class Appender implements Worker {
  readonly #lab: Lab;
  readonly #history: LabHistory;
  readonly #client: number;
  readonly #clients: number;
  readonly #isRandom: boolean;
  readonly #clerk;
  readonly #appended: string[] = [];
  #expected = '';
  #next = 0;

  constructor(lab: Lab, history: LabHistory, client: number, clients: number, isRandom: boolean) {
    this.#lab = lab;
    this.#history = history;
    this.#client = client;
    this.#clients = clients;
    this.#isRandom = isRandom;
    this.#clerk = lab.clerk();
  }

  async work(running: { readonly isOver: boolean }): Promise<void> {
    const { random } = this.#lab;
    if (!this.#isRandom) {
      await this.#put(String(this.#client), '');
      this.#expected = '';
      this.#appended.length = 0;
    }
    while (!running.isOver) {
      const key = String(this.#isRandom ? random.integer(0, this.#clients - 1) : this.#client);
      const value = `x ${this.#client} ${this.#next} y`;
      const draw = random.integer(0, 999);
      if (draw < 500) {
        this.#next += 1;
        await this.#append(key, value);
      } else if (this.#isRandom && draw < 550) {
        this.#next += 1;
        await this.#put(key, value);
      } else {
        const found = await this.#get(key);
        if (!this.#isRandom) assert.equal(found ?? '', this.#expected, 'a client reads what it wrote');
      }
    }
  }

  async check(): Promise<void> {
    if (this.#isRandom) return;
    const found = await this.#get(String(this.#client));
    assert.equal(found ?? '', this.#appended.join(''), 'each append is there once, and in order');
  }

  close(): Promise<void> {
    return this.#clerk.close(0);
  }

  async #append(key: string, value: string): Promise<void> {
    const call = this.#history.call(this.#client, key, { op: 'append', value });
    call.returned({ length: await this.#clerk.append(key, value) });
    this.#expected += value;
    this.#appended.push(value);
  }

  async #put(key: string, value: string): Promise<void> {
    const call = this.#history.call(this.#client, key, { op: 'put', value });
    await this.#clerk.put(key, value);
    call.returned({});
  }

  async #get(key: string): Promise<string | null> {
    const call = this.#history.call(this.#client, key, { op: 'get' });
    const pair: KvPair | null = await this.#clerk.get(key);
    const value = pair?.text ?? null;
    call.returned({ value });
    return value;
  }
}

/** By key, of all clients together. */
type PutCounts = Map<string, { ok: number; maybe: number }>;

/** Of 2025: reads a version and puts upon it. */
class Putter implements Worker {
  readonly #lab: Lab;
  readonly #client: number;
  readonly #isRandom: boolean;
  readonly #clerk: VersionedClerk;
  readonly #counts: PutCounts;

  constructor(lab: Lab, history: LabHistory, client: number, isRandom: boolean, counts: PutCounts) {
    this.#counts = counts;
    this.#lab = lab;
    this.#client = client;
    this.#isRandom = isRandom;
    this.#clerk = new VersionedClerk(lab.clerk({ session: false }), client, history, (ms) => lab.sleep(ms));
  }

  async work(running: { readonly isOver: boolean }): Promise<void> {
    while (!running.isOver) {
      const key = this.#isRandom ? `k${this.#lab.random.integer(0, RANDOM_KEYS - 1)}` : 'k';
      const { version } = await this.#clerk.get(key);
      const verdict = await this.#clerk.put(key, `${this.#client}.${version}`, version);
      const counts = this.#counts.get(key) ?? { ok: 0, maybe: 0 };
      if (verdict === 'ok') counts.ok += 1;
      if (verdict === 'maybe') counts.maybe += 1;
      this.#counts.set(key, counts);
    }
  }

  async check(): Promise<void> {
    for (const [key, { ok, maybe }] of this.#counts) {
      const { version } = await this.#clerk.get(key);
      const told = `${key} has version ${version} after ${ok} puts, and ${maybe} that may have been`;
      assert(version >= ok && version <= ok + maybe, told);
    }
    this.#counts.clear(); // they are those of all
  }

  close(): Promise<void> {
    return this.#clerk.close();
  }
}
