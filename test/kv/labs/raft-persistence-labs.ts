// MIT 6.5840, Raft part 3C, from outside: what was answered survives crashes, and a network that loses and delays.

import assert from 'node:assert/strict';
import { logged } from './raft-agreement-labs.js';
import type { LabTest } from './catalogue.js';
import { ELECTION_MS, type Lab } from './lab.js';

const ROUNDS = 1000;

async function persist1(lab: Lab): Promise<void> {
  await lab.one('11', 3, true);
  await lab.restart(0, 1, 2);
  await lab.one('12', 3, true);
  await lab.restart(await lab.checkOneLeader());
  await lab.one('13', 3, true);
  const second = await lab.checkOneLeader();
  await lab.crash(second);
  const name = await lab.one('14', 2, true);
  await lab.restart(second);
  assert(
    await lab.until(async () => (await lab.holders(name)) === 3, 10_000),
    'the leader does not catch up',
  );
  const third = ((await lab.checkOneLeader()) + 1) % 3;
  await lab.crash(third);
  await lab.one('15', 2, true);
  await lab.restart(third);
  await lab.one('16', 3, true);
}

async function persist2(lab: Lab): Promise<void> {
  let command = 1;
  const one = (members: number): Promise<string> => lab.one(`${command++}`, members, true);
  for (let round = 0; round < 5; round += 1) {
    await one(5);
    const leader = await lab.checkOneLeader();
    await lab.crash(leader + 1, leader + 2);
    await one(3);
    await lab.crash(leader, leader + 3, leader + 4);
    await lab.restart(leader + 1, leader + 2);
    await lab.sleep(ELECTION_MS);
    await lab.restart(leader + 3);
    await one(3);
    await lab.restart(leader + 4, leader);
  }
  await one(5);
}

async function persist3(lab: Lab): Promise<void> {
  await lab.one('101', 3, true);
  const leader = await lab.checkOneLeader();
  lab.disconnect(leader + 2);
  await lab.one('102', 2, true);
  await lab.crash(leader, leader + 1);
  lab.connect(leader + 2);
  await lab.restart(leader);
  await lab.one('103', 2, true);
  await lab.restart(leader + 1);
  await lab.one('104', 3, true);
}

/** Who leads among the connected, told by one status at a time. */
async function leaderOf(lab: Lab, candidates: readonly number[]): Promise<number | null> {
  const leads = await Promise.all(candidates.map((member) => lab.leads(member)));
  return candidates.findLast((_, at) => leads[at] === true) ?? null;
}

async function figure8(lab: Lab): Promise<void> {
  await lab.one('first', 1, true);
  const starting = new Set<Promise<void>>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const up = lab.members().filter((member) => lab.isUp(member));
    for (const member of up) lab.start(member, `${round}.${member}`);
    const leader = await leaderOf(lab, up);
    const isLong = lab.random.chance(0.1);
    await lab.sleep(lab.random.integer(0, isLong ? ELECTION_MS / 2 - 1 : 12));
    if (leader !== null) await lab.crash(leader);
    const down = lab.members().filter((member) => !lab.isUp(member));
    const member = lab.random.integer(0, 4);
    if (lab.count - down.length < 3 && down.includes(member) && starting.size === 0) {
      const start: Promise<void> = lab.restart(member).finally(() => starting.delete(start));
      starting.add(start);
      if (lab.isVirtual) await start;
    }
  }
  await Promise.all(starting);
  for (const member of lab.members()) if (!lab.isUp(member)) await lab.restart(member);
  await lab.one('last', 5, true);
}

async function unreliableAgree(lab: Lab): Promise<void> {
  for (let round = 1; round < 50; round += 1) {
    for (let at = 0; at < 4; at += 1) lab.start(lab.random.integer(0, 4), `${round}.${at}`);
    await lab.one(`${round}`, 1, true);
  }
  lab.setUnreliable(false);
  await lab.one('last', 5, true);
}

async function figure8Unreliable(lab: Lab): Promise<void> {
  await lab.one('first', 1, true);
  let connected = 5;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round === 200) lab.setLongReordering(true);
    for (const member of lab.members()) lab.start(member, `${round}.${member}`);
    const leader = await leaderOf(
      lab,
      lab.members().filter((member) => lab.isConnected(member)),
    );
    const isLong = lab.random.chance(0.1);
    await lab.sleep(lab.random.integer(0, isLong ? ELECTION_MS / 2 - 1 : 12));
    if (leader !== null && lab.random.chance(0.5)) {
      lab.disconnect(leader);
      connected -= 1;
    }
    const member = lab.random.integer(0, 4);
    if (connected < 3 && !lab.isConnected(member)) {
      lab.connect(member);
      connected += 1;
    }
  }
  lab.heal();
  // A third of all messages comes later than an election takes: it may need several.
  await lab.one('last', 5, true, 30_000);
}

/** Three clients give commands to all members; what they heard committed is in the log at the end, which checkLogs sees. */
async function churn(lab: Lab): Promise<void> {
  const running = { isOver: false };
  let command = 0;
  let seen = 0;
  const client = async (): Promise<void> => {
    while (!running.isOver) {
      const name = `c${command++}`;
      const members = lab.members().filter((member) => lab.isUp(member));
      for (const member of members) lab.start(member, `${name}.${member}`);
      // What a member that is cut off was given is not committed.
      const linked = members.filter((member) => lab.isConnected(member));
      const watched = linked[lab.random.integer(0, Math.max(0, linked.length - 1))];
      for (const waitMs of [10, 20, 50, 100, 200]) {
        await lab.sleep(waitMs);
        if (watched !== undefined && (await lab.holders(`${name}.${watched}`)) > 0) {
          seen += 1;
          break;
        }
      }
    }
  };
  const clients = [0, 1, 2].map(() => client());
  for (let round = 0; round < 20; round += 1) {
    if (lab.random.chance(0.2)) lab.disconnect(lab.random.integer(0, 4));
    if (lab.random.chance(0.5)) {
      const member = lab.random.integer(0, 4);
      if (!lab.isUp(member)) await lab.restart(member);
      lab.connect(member);
    }
    if (lab.random.chance(0.2)) await lab.crash(lab.random.integer(0, 4));
    await lab.sleep(0.7 * ELECTION_MS);
  }
  await lab.sleep(ELECTION_MS);
  running.isOver = true;
  lab.setUnreliable(false);
  for (const member of lab.members()) {
    if (!lab.isUp(member)) await lab.restart(member);
    lab.connect(member);
  }
  await Promise.all(clients);
  await lab.sleep(ELECTION_MS);
  assert(seen > 0, 'clients saw something committed');
}

export const persistenceLabs: readonly LabTest[] = [
  { name: '3C Persist1', servers: 3, run: logged(persist1) },
  { name: '3C Persist2', servers: 5, run: logged(persist2) },
  { name: '3C Persist3', servers: 3, run: logged(persist3) },
  { name: '3C Figure8', servers: 5, run: logged(figure8) },
  { name: '3C UnreliableAgree', servers: 5, isUnreliable: true, run: logged(unreliableAgree) },
  { name: '3C Figure8Unreliable', servers: 5, isUnreliable: true, run: logged(figure8Unreliable) },
  { name: '3C ReliableChurn', servers: 5, run: logged(churn) },
  { name: '3C UnreliableChurn', servers: 5, isUnreliable: true, run: logged(churn) },
];
