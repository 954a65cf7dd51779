// What goes wrong in a chaos run: each fault does something to the cluster, lasts for a while and is undone. Kinds,
// victims and durations are drawn from one seed. Members that another fault or a change of members works on are left alone.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { ChaosCluster, Member } from './chaos-cluster.js';
import { within } from './member-process.js';

/** Resolves once the fault has been undone. */
type Fault = (scene: Scene) => Promise<void>;

export interface Scene {
  readonly cluster: ChaosCluster;
  readonly random: SeededRandom;
  readonly signal: AbortSignal;
  readonly log: (text: string) => void;
}

const DISK_DEATH_MS = 30_000;
const TRANSFER_MS = 5000;

/** Those of the network are undone all at once, so only one of them may happen at a time. */
const NETWORK: ReadonlySet<Fault> = new Set([isolate, split, oneWay, cutPair, slowNetwork, breakConnections]);

const FAULTS: readonly (readonly [name: string, weight: number, fault: Fault])[] = [
  ['kill', 16, kill],
  ['pause', 12, stop],
  ['isolate', 12, isolate],
  ['split', 8, split],
  ['one-way', 10, oneWay],
  ['cut-pair', 6, cutPair],
  ['slow-network', 6, slowNetwork],
  ['broken-connections', 8, breakConnections],
  ['slow-disk', 8, slowDisk],
  ['stalled-disk', 6, stalledDisk],
  ['failed-disk', 5, failedDisk],
  ['transfer', 6, transfer],
  ['snapshot', 3, snapshot],
];

/** Draws a fault, lets it happen and undoes it. Gives its name. */
export async function someFault(scene: Scene, mayBreakNetwork: boolean): Promise<string> {
  const faults = FAULTS.filter(([, , fault]) => mayBreakNetwork || !NETWORK.has(fault));
  const total = faults.reduce((sum, [, weight]) => sum + weight, 0);
  let draw = scene.random.integer(1, total);
  const [name, , fault] = faults.find(([, weight]) => (draw -= weight) <= 0)!;
  await fault(scene);
  return name;
}

/** Not at all for longer than the run has left. */
async function hold({ random, signal }: Scene, minMs: number, maxMs: number): Promise<void> {
  try {
    await pause(random.integer(minMs, maxMs), undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Works on members that were claimed, and lets go of them. */
async function withMembers(members: readonly Member[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    for (const member of members) member.isBusy = false;
  }
}

/** From now on nobody else touches them. */
function claim(members: readonly Member[]): readonly Member[] {
  for (const member of members) {
    assert(!member.isBusy);
    member.isBusy = true;
  }
  return members;
}

function shuffled<T>(random: SeededRandom, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.fraction() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** Somebody, the leader half of the time; null: there is nobody to be had. */
async function target({ cluster, random }: Scene, mayClaim = false): Promise<Member | null> {
  const leader = random.chance(0.5) ? await cluster.leader() : null;
  const idle = shuffled(random, cluster.idle);
  const member = idle.find((other) => other === leader) ?? idle[0] ?? null;
  // No turn of the loop between the choice and the claim.
  if (mayClaim && member !== null) claim([member]);
  return member;
}

/** The same, claimed. */
function victim(scene: Scene): Promise<Member | null> {
  return target(scene, true);
}

function ids(members: readonly Member[]): string {
  return members.map(({ id }) => id).join(' and ');
}

async function kill(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const first = await victim(scene);
  if (first === null) return;
  const others = shuffled(random, cluster.idle);
  const draw = random.fraction();
  const victims = [first, ...claim(others.slice(0, draw < 0.7 ? 0 : draw < 0.9 ? 1 : others.length))];
  await withMembers(victims, async () => {
    log(`SIGKILL to ${ids(victims)}`);
    await Promise.all(victims.map(({ process }) => process.kill()));
    await hold(scene, 0, 3000);
    log(`start of ${ids(victims)}`);
    await Promise.all(victims.map((member) => cluster.restart(member)));
  });
}

async function stop(scene: Scene): Promise<void> {
  const member = await victim(scene);
  if (member === null) return;
  await withMembers([member], async () => {
    scene.log(`SIGSTOP to ${member.id}`);
    member.process.pause();
    await hold(scene, 300, 5000);
    member.process.resume();
  });
}

async function isolate(scene: Scene): Promise<void> {
  const { cluster, log } = scene;
  const member = await target(scene);
  if (member === null) return;
  log(`${member.id} isolated`);
  cluster.network.partition(
    [member.id],
    cluster.members.map(({ id }) => id).filter((id) => id !== member.id),
  );
  await hold(scene, 500, 6000);
  cluster.network.heal();
}

async function split(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const all = shuffled(
    random,
    cluster.members.map(({ id }) => id),
  );
  const at = random.integer(1, all.length - 1);
  log(`${all.slice(0, at).join(' and ')} apart from ${all.slice(at).join(' and ')}`);
  cluster.network.partition(all.slice(0, at), all.slice(at));
  await hold(scene, 500, 6000);
  if (random.chance(0.4)) {
    // Members may have come and gone.
    const other = shuffled(
      random,
      cluster.members.map(({ id }) => id),
    );
    log(`then ${other.slice(0, at).join(' and ')} apart from ${other.slice(at).join(' and ')}`);
    cluster.network.heal();
    cluster.network.partition(other.slice(0, at), other.slice(at));
    await hold(scene, 500, 4000);
  }
  cluster.network.heal();
}

async function oneWay(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const member = await target(scene);
  if (member === null) return;
  const sends = random.chance(0.5);
  const others = shuffled(
    random,
    cluster.members.filter((other) => other !== member),
  );
  const some = others.slice(0, random.chance(0.5) ? 1 : others.length);
  log(`what ${member.id} ${sends ? 'sends to' : 'is sent by'} ${ids(some)} is lost`);
  for (const { id } of some) {
    if (sends) cluster.network.steer(member.id, id, { kind: 'drop' });
    else cluster.network.steer(id, member.id, { kind: 'drop' });
  }
  await hold(scene, 500, 6000);
  cluster.network.heal();
}

/** Two members do not hear each other, all others hear both. */
async function cutPair(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const [a, b] = shuffled(random, cluster.members);
  if (a === undefined || b === undefined) return;
  log(`nothing between ${a.id} and ${b.id}`);
  cluster.network.partition([a.id], [b.id]);
  await hold(scene, 500, 6000);
  cluster.network.heal();
}

async function slowNetwork(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const members = cluster.members.map(({ id }) => id);
  const maxMs = random.integer(10, 200);
  const only = random.chance(0.5) ? null : members[random.integer(0, members.length - 1)]!;
  log(`${only === null ? 'all messages' : `messages of ${only}`} up to ${maxMs} ms late`);
  for (const from of members)
    for (const to of members)
      if (from !== to && (only === null || from === only || to === only))
        cluster.network.steer(from, to, { kind: 'delay', minMs: 1, maxMs });
  await hold(scene, 1000, 5000);
  cluster.network.heal();
}

async function breakConnections(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const how = random.pick(['end', 'reset', 'half-open', 'refuse'] as const);
  log(`connections broken: ${how}`);
  for (let round = random.integer(1, 6); round > 0; round -= 1) {
    const [from, to] = shuffled(random, cluster.members);
    if (from === undefined || to === undefined) return;
    if (how === 'half-open') cluster.network.halfOpen(from.id, to.id);
    else cluster.network.cut(from.id, to.id, how === 'end' ? 'end' : 'reset');
    if (how === 'refuse') cluster.network.refuse(from.id, to.id, true);
    await hold(scene, 50, 1000);
  }
  cluster.network.heal();
}

async function slowDisk(scene: Scene): Promise<void> {
  const { cluster, random, log } = scene;
  const idle = shuffled(random, cluster.idle);
  const members = claim(idle.slice(0, random.integer(1, Math.max(1, idle.length))));
  const maxMs = random.integer(20, 400);
  await withMembers(members, async () => {
    log(`disks of ${ids(members)} up to ${maxMs} ms slower`);
    await told(members, { do: 'slow-disk', minMs: 1, maxMs });
    await hold(scene, 1000, 5000);
    await told(members, { do: 'slow-disk', minMs: 0, maxMs: 0 });
  });
}

async function stalledDisk(scene: Scene): Promise<void> {
  const member = await victim(scene);
  if (member === null) return;
  await withMembers([member], async () => {
    scene.log(`disk of ${member.id} stalls`);
    await told([member], { do: 'stall-disk', isStalled: true });
    await hold(scene, 500, 5000);
    await told([member], { do: 'stall-disk', isStalled: false });
  });
}

/** The first failed sync is the end of the process; it must say so. */
async function failedDisk(scene: Scene): Promise<void> {
  const { cluster, log } = scene;
  const member = await victim(scene);
  if (member === null) return;
  await withMembers([member], async () => {
    log(`disk of ${member.id} fails`);
    await told([member], { do: 'fail-disk' });
    try {
      await within(member.process.ended, DISK_DEATH_MS, `member ${member.id} goes on with a failed disk`);
    } catch (error) {
      // Without a write there is no sync that could fail: a follower that hears nothing may live on.
      log(String(error));
      await member.process.kill();
    }
    await hold(scene, 0, 2000);
    await cluster.restart(member);
  });
}

async function transfer({ cluster, log }: Scene): Promise<void> {
  const leader = await cluster.leader();
  if (leader === null || leader.isBusy) return;
  log(`leadership of ${leader.id} handed over`);
  // It may be too late, or nobody fit: the cluster goes on either way.
  await leader.process
    .order({ do: 'transfer', to: null }, TRANSFER_MS)
    .catch((error: unknown) => log(String(error)));
}

async function snapshot({ cluster, log }: Scene): Promise<void> {
  log('snapshots everywhere');
  await told(cluster.idle, { do: 'snapshot' }, TRANSFER_MS);
}

/** Whoever is too busy to listen, or ends meanwhile, is not told; the fault is then weaker, no more. */
async function told(
  members: readonly Member[],
  order: Parameters<Member['process']['order']>[0],
  timeoutMs?: number,
): Promise<void> {
  await Promise.all(members.map(({ process }) => process.order(order, timeoutMs).catch(() => undefined)));
}
