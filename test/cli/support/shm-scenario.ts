// What `shm gc` finds in the test of it, in a process of its own so that it may have an IPC namespace of its own:
// a ring whose owner was killed, a live one, one that was left but whose maker lives, and one that is none of ours.
// Prints what the commands printed, as one JSON object.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { inspectSegment, removeSegment, ShmRing, ShmSegment } from '../../../addon/jbus/index.js';
import { until } from '../../support/until.js';

const LAUNCHER = fileURLToPath(new URL('../../../../bin/reactor-net.js', import.meta.url));

/** However slow the machine: nothing here has been silent for three of these. */
const UNHURRIED = ['--heartbeat', '1h'];

export interface GcScenario {
  readonly ids: { readonly abandoned: number; readonly live: number; readonly left: number };
  readonly listed: readonly string[];
  readonly collected: readonly string[];
  readonly listedAfter: readonly string[];
  /** With heartbeats of 1 ms, so that every one of them is long ago. */
  readonly collectedLater: readonly string[];
  readonly live: { readonly state: string; readonly removed: boolean };
  /** The segment of somebody else after all that: its bytes, and who attached to it last. */
  readonly foreign: { readonly text: string; readonly attached: number };
}

if (process.argv[2] === 'own') await own();
else await runScenario();

/** Makes a ring, as the only process that is attached to it, and waits to be killed. */
async function own(): Promise<void> {
  const ring = ShmRing.create(0, { capacity: 4096 });
  const writer = ring.writer();
  writer.write(1, 1, Buffer.from('left behind'));
  process.stdout.write(`${ring.id}\n`);
  await once(process.stdin.resume(), 'end'); // the scenario has ended without killing us
  ring.remove();
  writer.close();
}

async function runScenario(): Promise<void> {
  const abandoned = await killedOwner();
  const live = ShmRing.create(0, { capacity: 8192 });
  const left = ShmRing.create(0, { capacity: 4096 });
  left.writer().close(); // its heartbeat is of now
  left.close();
  await until(() => attachedTo(left.id) === 0); // a turn of the loop unmaps it
  const foreign = ShmSegment.create(0, 8192);
  Buffer.from(foreign.buffer).write('JBUSRNG', 4096); // where the magic does not belong
  try {
    const result = {
      ids: { abandoned, live: live.id, left: left.id },
      listed: command('ls', ...UNHURRIED),
      collected: command('gc', ...UNHURRIED),
      listedAfter: command('ls', ...UNHURRIED),
      collectedLater: command('gc', '--heartbeat', '1ms'),
      live: { state: live.state, removed: live.segment.stat().removed },
      foreign: {
        text: Buffer.from(foreign.buffer).toString('latin1', 4096, 4103),
        attached: foreign.stat().attachCount,
      },
    };
    process.stdout.write(JSON.stringify(result));
  } finally {
    foreign.remove();
    live.remove();
    removeSegment(left.id); // should gc have left it
  }
}

function attachedTo(id: number): number {
  const facts = inspectSegment(id);
  return typeof facts === 'string' ? Number.NaN : facts.status.attachCount;
}

/** The id of a ring whose owner was killed, and is no longer a zombie. */
async function killedOwner(): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [process.argv[1]!, 'own'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [id] = await once(child.stdout!, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return Number(String(id));
}

function command(...args: readonly string[]): string[] {
  const { stdout, stderr, status } = spawnSync(process.execPath, [LAUNCHER, 'shm', ...args, '--json'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`shm ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}
