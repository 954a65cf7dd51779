import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry, LogHardState, LogPosition, LogWrite, RecoveredLog } from '../../kv/index.js';
import { FaultyDisk } from './support/faulty-disk.js';
import { type Harness, openWal } from './support/wal-harness.js';
import { seededRandom } from './support/seeded-random.js';

// KV_SEED runs one seed, KV_SEEDS that many.
const FIRST = Number(process.env['KV_SEED'] ?? 1);
const COUNT = process.env['KV_SEED'] === undefined ? Number(process.env['KV_SEEDS'] ?? 150) : 1;
const CRASHES = 5;

/** What a log should hold, told the plain way. */
interface Model {
  readonly hardState: LogHardState;
  readonly snapshot: LogPosition;
  readonly lastIndex: number;
  readonly entries: ReadonlyMap<number, LogEntry>;
}

const NOTHING: Model = {
  hardState: { term: 0, vote: null, commit: 0 },
  snapshot: { index: 0, term: 0 },
  lastIndex: 0,
  entries: new Map(),
};

test(`after a crash at any call the log is what was acknowledged and some of what followed (${COUNT} seeds)`, async (t) => {
  const seen = { torn: 0, crashes: 0, compacted: 0, acknowledged: 0 };
  for (let seed = FIRST; seed < FIRST + COUNT; seed += 1) {
    try {
      await live(seed, seen);
    } catch (error) {
      t.diagnostic(`failed with KV_SEED=${seed}`);
      throw error;
    }
  }
  t.diagnostic(JSON.stringify(seen));
  if (COUNT >= 100) {
    assert(seen.torn > 20, 'crashes tore ends');
    assert(seen.compacted > 50, 'segments were compacted');
    assert(seen.acknowledged > COUNT * 20, 'work was done between crashes');
  }
});

async function live(
  seed: number,
  seen: { torn: number; crashes: number; compacted: number; acknowledged: number },
): Promise<void> {
  const random = seededRandom(seed);
  const disk = new FaultyDisk(random);
  disk.fault = (kind) => (kind === 'write' && random() < 0.1 ? Math.floor(random() * 300) : null);
  /** What may be found: the last acknowledged state first, then one more per record that was handed over. */
  let possible: Model[] = [NOTHING];
  for (let crash = 0; crash < CRASHES; crash += 1) {
    disk.diesAtCall = 1 + Math.floor(random() * (random() < 0.3 ? 15 : 150));
    let harness: Harness | null = null;
    try {
      harness = await openWal(disk, { segmentBytes: 4096 + 512 * Math.floor(random() * 8) });
    } catch (error) {
      assert(disk.isDead, `the log opens: ${String(error)}`);
    }
    if (harness !== null) {
      if (harness.wal.recovered.tornTail !== null) seen.torn += 1;
      const found = checkFound(harness.wal.recovered, possible);
      possible = await work(harness, found, disk, random, seen);
    }
    seen.crashes += 1;
    if (random() < 0.2) disk.restart();
    else disk.crash();
  }
  const last = await openWal(disk);
  checkFound(last.wal.recovered, possible);
  await last.wal.close();
}

/** Writes until the disk dies; gives what the next life may find. */
async function work(
  { wal, write }: Harness,
  start: Model,
  disk: FaultyDisk,
  random: () => number,
  seen: { compacted: number; acknowledged: number },
): Promise<Model[]> {
  let model = start;
  const states = [start];
  let acknowledged = 0;
  for (let round = 0; round < 60 && !disk.isDead; round += 1) {
    const burst: Promise<void>[] = [];
    for (let count = Math.floor(random() * 5); count >= 0; count -= 1) {
      const next = someWrite(model, random);
      const steps = recordsOf(next);
      for (const step of steps) {
        model = applied(model, step);
        states.push(model);
      }
      const upTo = states.length - 1;
      const done = write(next).then(() => {
        assert(upTo > acknowledged, 'acknowledged in order');
        acknowledged = upTo;
        seen.acknowledged += 1;
      });
      burst.push(done);
    }
    const results = await Promise.allSettled(burst);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      assert.equal(failed.reason.code, 'KV_POISONED', String(failed.reason.stack));
      assert(disk.isDead, 'only a dead disk fails');
      break;
    }
    if (random() < 0.3) {
      const removed = await wal
        .compact(model.snapshot.index - Math.floor(random() * 5))
        .catch((error: unknown) => {
          assert(disk.isDead, String(error));
          return 0;
        });
      seen.compacted += removed;
    }
  }
  if (random() < 0.3) await wal.close();
  return states.slice(acknowledged);
}

function someWrite(model: Model, random: () => number): LogWrite {
  const { hardState, lastIndex, snapshot, entries } = model;
  const whole = (below: number): number => Math.floor(random() * below);
  const commitMax = Math.max(hardState.commit, snapshot.index);
  const lastTerm = entries.get(lastIndex)?.term ?? snapshot.term;
  const term = Math.max(hardState.term, lastTerm) + (random() < 0.2 ? 1 : 0);
  const dice = random();
  if (dice < 0.1)
    return { hardState: { term, vote: random() < 0.5 ? whole(5) : null, commit: hardState.commit } };
  if (dice < 0.2 && lastIndex > commitMax)
    return { truncateFrom: commitMax + 1 + whole(lastIndex - commitMax) };
  if (dice < 0.35) {
    const index = snapshot.index + whole(commitMax - snapshot.index + 1);
    const entry = entries.get(index);
    if (entry !== undefined && index > snapshot.index) return { snapshot: { index, term: entry.term } };
  }
  if (dice < 0.38) {
    const index = lastIndex + 1 + whole(5);
    return { snapshot: { index, term }, hardState: { term, vote: null, commit: index } };
  }
  const from = random() < 0.2 ? commitMax + 1 + whole(lastIndex - commitMax + 1) : lastIndex + 1;
  const fresh = Array.from({ length: 1 + whole(5) }, (_, place) => ({
    index: from + place,
    term,
    kind: (['normal', 'noop', 'config'] as const)[whole(3)]!,
    data: Buffer.alloc(random() < 0.2 ? whole(2600) : whole(120), whole(3)),
  }));
  if (random() < 0.5) return { entries: fresh };
  const commit = commitMax + whole(from + fresh.length - commitMax);
  return { hardState: { term, vote: hardState.vote, commit }, entries: fresh };
}

function recordsOf({ snapshot, hardState, truncateFrom, entries }: LogWrite): LogWrite[] {
  return [
    ...(snapshot === undefined ? [] : [{ snapshot }]),
    ...(hardState === undefined ? [] : [{ hardState }]),
    ...(truncateFrom === undefined ? [] : [{ truncateFrom }]),
    ...(entries ?? []).map((entry) => ({ entries: [entry] })),
  ];
}

function applied(model: Model, { snapshot, hardState, truncateFrom, entries }: LogWrite): Model {
  if (hardState !== undefined) return { ...model, hardState };
  if (snapshot !== undefined) {
    const isInLog = model.entries.get(snapshot.index)?.term === snapshot.term;
    return isInLog
      ? { ...model, snapshot }
      : { ...model, snapshot, lastIndex: snapshot.index, entries: new Map() };
  }
  const entry = entries?.[0];
  const from = truncateFrom ?? entry!.index;
  const kept = new Map([...model.entries].filter(([index]) => index < from));
  if (entry !== undefined) kept.set(entry.index, entry);
  return { ...model, lastIndex: entry?.index ?? Math.min(model.lastIndex, from - 1), entries: kept };
}

/** The state that was found, which must be one of the possible ones; the earliest that looks the same. */
function checkFound(recovered: RecoveredLog, possible: readonly Model[]): Model {
  const { base, entries, snapshot } = recovered;
  assert(base.index <= snapshot.index);
  for (const [place, entry] of entries.entries()) assert.equal(entry.index, base.index + 1 + place);
  const lastIndex = Math.max(base.index, entries.at(-1)?.index ?? 0);
  const found = picture({
    ...recovered,
    lastIndex,
    entries: new Map(entries.map((entry) => [entry.index, entry])),
  });
  const match = possible.findLast((model) => picture(model) === found);
  assert(match !== undefined, `found ${found}\nexpected one of\n${possible.map(picture).join('\n')}`);
  return { ...match, hardState: recovered.hardState };
}

/** What must agree: entries within the snapshot may be there or not. */
function picture({ hardState, snapshot, lastIndex, entries }: Model): string {
  const { term, vote, commit } = hardState;
  const log = [...entries.values()]
    .filter(({ index }) => index > snapshot.index)
    .map(
      (entry) => `${entry.index}:${entry.term}${entry.kind[0]}${entry.data.length}.${entry.data[0] ?? ''}`,
    );
  return JSON.stringify([
    term,
    vote,
    Math.min(commit, lastIndex),
    snapshot.index,
    snapshot.term,
    lastIndex,
    ...log,
  ]);
}
