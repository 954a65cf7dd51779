// Kills one end of a channel at a random moment, or in the middle of a write, again and again, while both ends talk.
// What the survivor reads is checked by talk.ts; here it is measured how soon it learns of the death, and looked for
// what was left behind.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { listSegments, PeerProcess } from '../../../addon/jbus/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { until } from '../../support/until.js';
import { machineMs, talk, type TalkOptions } from './talk.js';
import { talkArguments } from './talk-options.js';

export interface DeathOptions {
  readonly rounds: number;
  readonly seed: number;
  /** An addon whose writers stop in mid-write; every second victim then dies there. */
  readonly stoppingAddon?: string;
}

export interface DeathReport {
  /** Milliseconds from kill to notice, one per round. */
  readonly toldMs: number[];
  readonly inMidWrite: number;
  readonly messages: number;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const CAPACITY = 65_536;
const BYTES_MAX = 3 * CAPACITY;
/** Steps of a write at which the addon can stop: WriteStep in addon/src/jbus/steps.h. */
const STEPS = 7;
const LIFE_MS_MAX = 60;
/** As long as `until` waits: a process that others keep from the CPU has been seen to take more than 10 s to start. */
const JOIN_MS_MAX = 60_000;
const PEER_FILE = fileURLToPath(new URL('talk-peer.js', import.meta.url));
const OWNER_FILE = fileURLToPath(new URL('talk-owner.js', import.meta.url));

/** The peer dies, this process is the owner that survives. */
export async function killPeers(options: DeathOptions): Promise<DeathReport> {
  const tally = new Tally();
  for (let round = 0; round < options.rounds; round += 1) {
    const random = new SeededRandom(options.seed + round);
    const victim = victimOf(options, round, random);
    const talkOptions = { count: Infinity, bytesMax: BYTES_MAX, seed: options.seed + round };
    const peer = await PeerProcess.start({
      command: process.execPath,
      args: [PEER_FILE, ...talkArguments(talkOptions)],
      output: 'ignore',
      env: victim.env,
      capacityOut: CAPACITY,
      capacityIn: CAPACITY,
      heartbeatMs: 60_000, // the doorbell alone has to tell
      joinTimeoutMs: JOIN_MS_MAX,
    });
    const pid = peer.pid!;
    let downMs = 0;
    peer.channel.onPeerDown(() => {
      downMs = machineMs();
    });
    const talking = talk(peer.channel, { ...talkOptions, seed: talkOptions.seed + 1 });
    await victim.isDue(pid);
    const killedMs = machineMs();
    process.kill(pid, 'SIGKILL');
    const { read, written, end } = await talking;
    assert.equal(end, 'JBUS_PEER_DEAD');
    tally.add(downMs - killedMs, read + written, victim.isStopped);
    await peer.close();
    await nothingIsLeft(process.pid);
  }
  return tally;
}

/** The owner dies; its child survives, and reports when it learned of that. */
export async function killOwners(options: DeathOptions): Promise<DeathReport> {
  const tally = new Tally();
  for (let round = 0; round < options.rounds; round += 1) {
    const random = new SeededRandom(options.seed + round);
    const victim = victimOf(options, round, random);
    const talkOptions: TalkOptions = { count: Infinity, bytesMax: BYTES_MAX, seed: options.seed + round };
    const owner = spawn(process.execPath, [OWNER_FILE, ...talkArguments(talkOptions)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: victim.env,
    });
    const lines = linesOf(owner);
    const { joined } = (await lines.next()) as { joined: number };
    await victim.isDue(owner.pid!);
    const killedMs = machineMs();
    owner.kill('SIGKILL');
    const report = (await lines.next()) as { end: string; downMs: number; read: number; written: number };
    assert.equal(report.end, 'JBUS_PEER_DEAD');
    tally.add(report.downMs - killedMs, report.read + report.written, victim.isStopped);
    await until(() => !isRunning(joined));
    await nothingIsLeft(owner.pid!);
  }
  return tally;
}

class Tally implements DeathReport {
  readonly toldMs: number[] = [];
  inMidWrite = 0;
  messages = 0;

  add(toldMs: number, messages: number, isInMidWrite: boolean): void {
    this.toldMs.push(toldMs);
    this.messages += messages;
    if (isInMidWrite) this.inMidWrite += 1;
  }
}

interface Victim {
  readonly env: NodeJS.ProcessEnv;
  readonly isStopped: boolean;
  /** Resolves when it is to be killed. */
  isDue(pid: number): Promise<void>;
}

function victimOf({ stoppingAddon }: DeathOptions, round: number, random: SeededRandom): Victim {
  if (stoppingAddon === undefined || round % 2 === 0) {
    const lifeMs = random.integer(0, LIFE_MS_MAX);
    return { env: process.env, isStopped: false, isDue: () => sleep(lifeMs) };
  }
  const stop = `${random.integer(1, STEPS)}:${random.integer(1, 300)}`;
  return {
    env: { ...process.env, REACTOR_NET_ADDON: stoppingAddon, JBUS_STOP_AT_STEP: stop },
    isStopped: true,
    isDue: async (pid) => await until(() => stateOf(pid) === 'T'),
  };
}

/** The letter in /proc/PID/stat; '' when there is no such process. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '';
  } catch {
    return ''; // it has ended
  }
}

function isRunning(pid: number): boolean {
  return !['', 'Z', 'X'].includes(stateOf(pid));
}

/** No ring that `creatorPid` has made is there any more, once its memory was given back: the collector does that. */
async function nothingIsLeft(creatorPid: number): Promise<void> {
  await until(() => {
    collectGarbage();
    return !listSegments().some(({ status }) => status.creatorPid === creatorPid);
  });
}

/** The JSON on a child's standard output, line by line; undefined after its end. */
function linesOf(child: ChildProcess): { next(): Promise<unknown> } {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    next: async () => {
      const { value, done } = await lines.next();
      if (done === true) await once(child, 'close');
      return done === true ? undefined : (JSON.parse(value) as unknown);
    },
  };
}
