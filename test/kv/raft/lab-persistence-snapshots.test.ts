// MIT 6.5840, Raft parts 3C and 3D, re-created from their description in virtual time (support/lab.ts).

import assert from 'node:assert/strict';
import test from 'node:test';
import { ELECTION_MS, Lab, type LabOptions } from './support/lab.js';

const SEED = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 1);
const STATE_BYTES_MAX = 2000;

function lab(
  title: string,
  count: number,
  run: (lab: Lab) => void,
  options: Omit<LabOptions, 'seed'> = {},
): void {
  test(title, () => {
    for (let seed = SEED; seed < SEED + ROUNDS; seed += 1) {
      try {
        run(new Lab(count, { ...options, seed }));
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

lab('3C Persist1: what was committed survives restarts of all, of the leader, of a follower', 3, (lab) => {
  lab.one('11', 3, true);
  lab.restart(0, 1, 2);
  lab.one('12', 3, true);
  const first = lab.checkOneLeader();
  lab.restart(first);
  lab.one('13', 3, true);
  const second = lab.checkOneLeader();
  lab.crash(second);
  const index = lab.one('14', 2, true);
  lab.restart(second);
  lab.waitFor(index, 3);
  const third = (lab.checkOneLeader() + 1) % 3;
  lab.crash(third);
  lab.one('15', 2, true);
  lab.restart(third);
  lab.one('16', 3, true);
});

lab('3C Persist2: quorums that share one member carry the log on', 5, (lab) => {
  let command = 1;
  const one = (members: number): number => lab.one(`${command++}`, members, true);
  for (let round = 0; round < 5; round += 1) {
    one(5);
    const leader = lab.checkOneLeader();
    lab.crash(leader + 1, leader + 2);
    one(3);
    lab.crash(leader, leader + 3, leader + 4);
    lab.restart(leader + 1, leader + 2);
    lab.sleep(ELECTION_MS);
    lab.restart(leader + 3);
    one(3);
    lab.restart(leader + 4, leader);
  }
  one(5);
});

lab('3C Persist3: a leader and a follower crash, another follower was away', 3, (lab) => {
  lab.one('101', 3, true);
  const leader = lab.checkOneLeader();
  lab.disconnect(leader + 2);
  lab.one('102', 2, true);
  lab.crash(leader, leader + 1);
  lab.connect(leader + 2);
  lab.restart(leader);
  lab.one('103', 2, true);
  lab.restart(leader + 1);
  lab.one('104', 3, true);
});

lab('3C Figure8: leaders crash again and again, nothing committed is lost', 5, (lab) => {
  lab.one('first', 1, true);
  let up = 5;
  for (let round = 0; round < 1000; round += 1) {
    let leader = -1;
    for (const member of lab.members()) {
      if (lab.isUp(member) && lab.start(member, `${round}`) !== null) leader = member;
    }
    const isLong = lab.random.chance(0.1);
    lab.sleep(lab.random.integer(0, isLong ? ELECTION_MS / 2 - 1 : 12));
    if (leader !== -1) {
      lab.crash(leader);
      up -= 1;
    }
    const member = lab.random.integer(0, 4);
    if (up < 3 && !lab.isUp(member)) {
      lab.restart(member);
      up += 1;
    }
  }
  for (const member of lab.members()) if (!lab.isUp(member)) lab.restart(member);
  lab.one('last', 5, true);
});

lab(
  '3C UnreliableAgree: agreement over a network that loses and delays',
  5,
  (lab) => {
    for (let round = 1; round < 50; round += 1) {
      for (let at = 0; at < 4; at += 1) {
        for (const member of lab.members()) lab.start(member, `${round}.${at}`);
      }
      lab.one(`${round}`, 1, true);
    }
    lab.setUnreliable(false);
    lab.one('last', 5, true);
  },
  { isUnreliable: true },
);

lab(
  '3C Figure8Unreliable: the same with cut-off leaders and answers out of order',
  5,
  (lab) => {
    lab.one('first', 1, true);
    let connected = 5;
    for (let round = 0; round < 1000; round += 1) {
      if (round === 200) lab.setLongReordering(true);
      let leader = -1;
      for (const member of lab.members()) {
        if (lab.start(member, `${round}`) !== null && lab.isConnected(member)) leader = member;
      }
      const isLong = lab.random.chance(0.1);
      lab.sleep(lab.random.integer(0, isLong ? ELECTION_MS / 2 - 1 : 12));
      if (leader !== -1 && lab.random.chance(0.5)) {
        lab.disconnect(leader);
        connected -= 1;
      }
      const member = lab.random.integer(0, 4);
      if (connected < 3 && !lab.isConnected(member)) {
        lab.connect(member);
        connected += 1;
      }
    }
    lab.connect(...lab.members());
    lab.one('last', 5, true);
  },
  { isUnreliable: true },
);

for (const isUnreliable of [false, true]) {
  const kind = isUnreliable ? 'UnreliableChurn' : 'ReliableChurn';
  lab(`3C ${kind}: what a client saw committed is in the log at the end`, 5, churn, { isUnreliable });
}

function churn(lab: Lab): void {
  const seen = new Map<number, string>();
  let isOver = false;
  let command = 0;
  const client = (): void => {
    if (isOver) return;
    const name = `c${command++}`;
    const started = lab.members().map((member) => lab.start(member, name));
    const index = started.findLast((each) => each !== null)?.index;
    for (const wait of [10, 30, 80, 180, 380]) {
      lab.world.after(wait, () => {
        if (index !== undefined && lab.applied.get(index) === name) seen.set(index, name);
      });
    }
    lab.world.after(400, client);
  };
  for (let at = 0; at < 3; at += 1) lab.world.after(at * 7, client);
  for (let round = 0; round < 20; round += 1) {
    if (lab.random.chance(0.2)) lab.disconnect(lab.random.integer(0, 4));
    if (lab.random.chance(0.5)) {
      const member = lab.random.integer(0, 4);
      if (!lab.isUp(member)) lab.restart(member);
      lab.connect(member);
    }
    if (lab.random.chance(0.2)) lab.crash(lab.random.integer(0, 4));
    lab.sleep(0.7 * ELECTION_MS);
  }
  lab.sleep(ELECTION_MS);
  isOver = true;
  lab.setUnreliable(false);
  for (const member of lab.members()) {
    if (!lab.isUp(member)) lab.restart(member);
    lab.connect(member);
  }
  lab.sleep(ELECTION_MS);
  lab.one('last', 5, true);
  assert(seen.size > 0, 'clients saw something committed');
  for (const [index, name] of seen) assert.equal(lab.applied.get(index), name);
}

lab(
  '3D SnapshotBasic: the persisted log stays short, and nobody needs to be sent a snapshot',
  3,
  (lab) => {
    assert.equal(snapshots(lab, 'nothing'), 0);
  },
  { hasSnapshots: true },
);

for (const isUnreliable of [false, true]) {
  const network = isUnreliable ? 'Unreliable' : '';
  const options = { hasSnapshots: true, isUnreliable };
  lab(
    `3D SnapshotInstall${network}: who was away is sent a snapshot`,
    3,
    (lab) => assert(snapshots(lab, 'disconnect') > 5),
    options,
  );
  lab(
    `3D SnapshotInstall${network}Crash: who was down is sent one`,
    3,
    (lab) => assert(snapshots(lab, 'crash') > 5),
    options,
  );
}

/** Returns how many snapshots were installed. */
function snapshots(lab: Lab, fault: 'nothing' | 'disconnect' | 'crash'): number {
  let installs = 0;
  lab.world.onInstalled = () => {
    installs += 1;
  };
  let command = 0;
  const name = (): string => `${command++}`;
  lab.one(name(), 3, true);
  let leader = lab.checkOneLeader();
  for (let round = 0; round < 30; round += 1) {
    const isLeader = round % 3 === 1;
    const victim = isLeader ? leader : (leader + 1) % 3;
    const sender = isLeader ? (leader + 1) % 3 : leader;
    if (fault === 'disconnect') lab.disconnect(victim);
    if (fault === 'crash') lab.crash(victim);
    if (fault !== 'nothing') lab.one(name(), 2, true);
    const count = lab.random.integer(5, 14);
    for (let at = 0; at < count; at += 1) lab.start(sender, name());
    // The leader's commands have to reach the others before it is judged.
    lab.one(name(), fault === 'nothing' ? 3 : 2, true);
    lab.sleep(5);
    for (const member of lab.members()) {
      if (member === victim && fault !== 'nothing') continue;
      const bytes = lab.node(member).disk.byteCount;
      assert(bytes < STATE_BYTES_MAX, `${bytes} bytes of log and state on member ${member}`);
    }
    if (fault === 'disconnect') lab.connect(victim);
    if (fault === 'crash') lab.restart(victim);
    if (fault === 'nothing') continue;
    lab.one(name(), 3, true);
    leader = lab.checkOneLeader();
  }
  return installs;
}

lab(
  '3D SnapshotAllCrash: all crash, and agreement goes on behind the snapshot',
  3,
  (lab) => {
    lab.one('first', 3, true);
    for (let round = 0; round < 5; round += 1) {
      const count = lab.random.integer(5, 14);
      for (let at = 0; at < count; at += 1) lab.one(`${round}.${at}`, 3, true);
      const before = lab.one(`${round}.before`, 3, true);
      lab.crash(0, 1, 2);
      lab.restart(0, 1, 2);
      assert(lab.one(`${round}.after`, 3, true) > before);
    }
  },
  { hasSnapshots: true, isUnreliable: true },
);

lab(
  '3D SnapshotInit: a snapshot is state like any other after a restart',
  3,
  (lab) => {
    for (let at = 0; at < 12; at += 1) lab.one(`${at}`, 3, true);
    lab.crash(0, 1, 2);
    lab.restart(0, 1, 2);
    lab.one('between', 3, true);
    lab.crash(0, 1, 2);
    lab.restart(0, 1, 2);
    lab.one('last', 3, true);
  },
  { hasSnapshots: true, isUnreliable: true },
);
