// Kills writers and readers of a ring, in mid-write too, and looks at what the survivor is given.
// ring-crash.test.ts runs a few rounds, test/jbus/crash.ts as many as wanted. Each round has a ring of its own.
// Every other writer runs on the addon that stops in mid-write, if there is one, and is killed where it stands.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { type RingReader, type RingWriter, ShmRing } from '../../../addon/jbus/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { until } from '../../support/until.js';
import { patternBytes, privateRing } from './rings.js';

/** As in addon/src/jbus/steps.h; the last one that lies within a write. */
const STEP_PAD_WRITTEN = 1;
const STEP_PUBLISHED = 6;

export interface CrashOptions {
  readonly rounds: number;
  readonly seed: number;
  /** The addon built with --stop-at-step; without it, all kills come at random moments. */
  readonly stoppingAddon?: string;
}

export interface CrashCounts {
  writersKilled: number;
  ofThemInMidWrite: number;
  readersKilled: number;
  records: number;
}

/** Fails with the seed and round if a torn, lost or repeated record is delivered, or a ring cannot be gone on with. */
export async function crashRounds(options: CrashOptions): Promise<CrashCounts> {
  const random = new SeededRandom(options.seed);
  const counts = { writersKilled: 0, ofThemInMidWrite: 0, readersKilled: 0, records: 0 };
  for (let round = 0; round < options.rounds; round += 1) {
    const ring = privateRing({ capacity: 65_536, crc: round % 2 === 0 });
    try {
      if (round % 4 === 3) await killReader(ring, random, counts);
      else await killWriter(ring, random, round % 4 === 0 ? undefined : options.stoppingAddon, counts);
    } catch (error) {
      throw new Error(`round ${round} of seed ${options.seed}`, { cause: error });
    } finally {
      ring.close();
    }
  }
  return counts;
}

async function killWriter(
  ring: ShmRing,
  random: SeededRandom,
  stoppingAddon: string | undefined,
  counts: CrashCounts,
): Promise<void> {
  const reader = ring.reader();
  const environment = stoppingAddon === undefined ? {} : stopSomewhere(stoppingAddon, random);
  const enough = random.integer(1, 3000);
  let last = 0;
  await killOnce('ring-writer', [ring.id, 0, random.integer(1, 1e6)], environment, (child) => {
    last = readAll(reader, last);
    return stoppingAddon === undefined ? last >= enough : isStopped(child);
  });
  last = readAll(reader, last);
  assert.equal(reader.size, 0, 'what the dead one did not publish is not there');
  assert.equal(reader.peer().alive, false);
  const successor = ring.writer();
  writeSome(successor, last + 1, 10);
  last = readAll(reader, last);
  successor.close();
  reader.close();
  counts.writersKilled += 1;
  counts.ofThemInMidWrite += stoppingAddon === undefined ? 0 : 1;
  counts.records += last;
}

async function killReader(ring: ShmRing, random: SeededRandom, counts: CrashCounts): Promise<void> {
  const writer = ring.writer();
  const enough = random.integer(1, 3000);
  let written = 0;
  await killOnce('ring-reader', [ring.id], {}, () => {
    written += writeSome(writer, written + 1, 100);
    return writer.peer().records >= enough;
  });
  assert.equal(writer.peer().alive, false);
  const successor = ring.reader();
  // The dead one may have taken records that it had not released: they come again.
  const first = successor.peek((record) => record.msgId) ?? written + 1;
  assert.equal(readAll(successor, first - 1), written);
  successor.close();
  writer.close();
  counts.readersKilled += 1;
  counts.records += written;
}

/** The environment in which a writer stops at some step of some record. Only one record in hundreds has a pad. */
function stopSomewhere(stoppingAddon: string, random: SeededRandom): Record<string, string> {
  const step = random.integer(STEP_PAD_WRITTEN, STEP_PUBLISHED);
  const count = random.integer(1, step === STEP_PAD_WRITTEN ? 5 : 2000);
  return { REACTOR_NET_ADDON: stoppingAddon, JBUS_STOP_AT_STEP: `${step}:${count}` };
}

/** Runs a script of this folder until `isTime` says so, kills it and waits for its end. */
async function killOnce(
  name: string,
  args: readonly number[],
  environment: Record<string, string>,
  isTime: (child: ChildProcess) => boolean,
): Promise<void> {
  const script = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args.map(String)], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const exited = once(child, 'exit');
  try {
    await until(() => isTime(child));
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

function isStopped(child: ChildProcess): boolean {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T';
}

/** Writes up to `count` records from number `first` on; returns how many there was room for. */
function writeSome(writer: RingWriter, first: number, count: number): number {
  let written = 0;
  while (
    written < count &&
    writer.write(1, first + written, patternBytes(first + written, written % 300)) > 0
  ) {
    written += 1;
  }
  return written;
}

/** Takes everything there is, checks every byte, and that no number is missing. Returns the last one. */
export function readAll(reader: RingReader, previous: number): number {
  let last = previous;
  for (let count = reader.readBatch(); count > 0; count = reader.readBatch()) {
    for (let row = 0; row < count; row += 1) {
      const { msgId, bytes } = reader.record(row);
      last += 1;
      assert.equal(msgId, last);
      assert.equal(bytes.compare(patternBytes(msgId, bytes.length)), 0, 'every byte of the record');
    }
    reader.release();
  }
  return last;
}
