// MIT 6.5840, the rsm layer of parts 4A and 4C, from outside: a counter is the length of a value that grows by one byte (Inc),
// asked of one member at a time. Difference: a member that was given a request proposes it until it is executed or its
// time is up, so that what a cut-off leader took may be executed, once, after the cut. The labs call that an error.

import assert from 'node:assert/strict';
import type { LabTest } from './catalogue.js';
import type { Lab } from './lab.js';

const SUBMIT_MS = 10_000;
const SNAPSHOT_BYTES = 1000;
const COUNTER = 'counter';

/** One Inc by way of any connected member; gives the counter. */
async function inc(lab: Lab): Promise<number> {
  const endMs = lab.nowMs() + SUBMIT_MS;
  while (lab.nowMs() < endMs) {
    for (const member of lab.members()) {
      if (!lab.isConnected(member) || !lab.isUp(member)) continue;
      const answer = await lab.submit(member, COUNTER, '+', SUBMIT_MS);
      assert.notEqual(answer, -1, 'nobody knows what became of an Inc');
      if (answer !== null) return answer;
    }
    await lab.sleep(50);
  }
  throw new assert.AssertionError({ message: 'an Inc was not executed in 10 s' });
}

async function counterOf(lab: Lab, member: number): Promise<number> {
  return (await lab.peek(member, COUNTER))?.length ?? 0;
}

async function checkCounter(lab: Lab, value: number, members: number): Promise<void> {
  let seen: number[] = [];
  const isThere = async (): Promise<boolean> => {
    seen = await Promise.all(lab.members().map((member) => counterOf(lab, member)));
    return seen.filter((each) => each === value).length >= members;
  };
  assert(await lab.until(isThere, SUBMIT_MS), `the counter should be ${value}, it is ${seen.join(' ')}`);
}

/** Null requests on all members at once; gives when all have returned. */
async function nulls(lab: Lab, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, at) => lab.submit(at % lab.count, 'null', '', SUBMIT_MS)),
  );
}

async function basic(lab: Lab): Promise<void> {
  for (let value = 1; value <= 10; value += 1) {
    assert.equal(await inc(lab), value);
    await checkCounter(lab, value, 3);
  }
}

async function concurrent(lab: Lab): Promise<void> {
  const values = await Promise.all(Array.from({ length: 50 }, () => inc(lab)));
  assert.equal(new Set(values).size, 50, 'each Inc has a value of its own');
  await checkCounter(lab, 50, 3);
}

async function leaderFailure(lab: Lab): Promise<void> {
  assert.equal(await inc(lab), 1);
  await checkCounter(lab, 1, 3);
  const leader = await lab.checkOneLeader();
  lab.disconnect(leader);
  assert.equal(await inc(lab), 2);
  await checkCounter(lab, 2, 2);
  lab.connect(leader);
  await checkCounter(lab, 2, 3);
}

async function leaderPartition(lab: Lab): Promise<void> {
  assert.equal(await inc(lab), 1);
  const leader = await lab.checkOneLeader();
  const others = lab.members().filter((member) => member !== leader);
  lab.disconnect(leader);
  let returned = 0;
  let executed = 0;
  const decs = Array.from({ length: 100 }, async () => {
    const answer = await lab.submit(leader, 'dec', '-', 20_000);
    returned += 1;
    if (answer !== null && answer >= 0) executed += 1;
  });
  await lab.sleep(10);
  assert.equal(await inc(lab), 2);
  await lab.sleep(1000);
  assert.equal(returned, 0, 'nothing is told of what cannot be known');
  for (const member of others) assert.equal(await lab.peek(member, 'dec'), null);
  lab.connect(leader);
  assert(await lab.until(() => returned === 100, lab.isVirtual ? 3000 : 6000), `${returned} of 100 returned`);
  await Promise.all(decs);
  await checkCounter(lab, 2, 3);
  const lengths = async (): Promise<number[]> =>
    Promise.all(lab.members().map(async (member) => (await lab.peek(member, 'dec'))?.length ?? 0));
  assert(await lab.until(async () => (await lengths()).every((each) => each === executed), 5000));
}

async function restartReplay(lab: Lab): Promise<void> {
  for (let value = 1; value <= 100; value += 1) {
    assert.equal(await inc(lab), value);
    await checkCounter(lab, value, 3);
  }
  await lab.crash(0, 1, 2);
  await lab.sleep(1000);
  await lab.restart(0, 1, 2);
  assert.equal(await inc(lab), 101);
  await checkCounter(lab, 101, 3);
}

async function killUnderLoad(lab: Lab): Promise<void> {
  let isDone = false;
  const all = nulls(lab, 100).then(() => (isDone = true));
  await lab.sleep(20);
  await lab.crash(0, 1, 2);
  assert(await lab.until(() => isDone, SUBMIT_MS + 1000), 'requests return when their members have ended');
  await all;
}

async function shutdown(lab: Lab): Promise<void> {
  await inc(lab);
  await killUnderLoad(lab);
}

async function restartSubmit(lab: Lab): Promise<void> {
  for (let value = 1; value <= 100; value += 1) assert.equal(await inc(lab), value);
  await checkCounter(lab, 100, 3);
  await lab.restart(0, 1, 2);
  assert.equal(await inc(lab), 101);
  await checkCounter(lab, 101, 3);
  await killUnderLoad(lab);
  await lab.restart(0, 1, 2);
  assert.equal(await inc(lab), 102);
  await checkCounter(lab, 102, 3);
}

async function snapshot(lab: Lab): Promise<void> {
  for (let value = 1; value <= 100; value += 1) assert.equal(await inc(lab), value);
  await checkCounter(lab, 100, 3);
  for (const member of lab.members()) {
    const isShort = async (): Promise<boolean> =>
      ((await lab.status(member))?.logBytes ?? Infinity) <= 2 * SNAPSHOT_BYTES;
    assert(await lab.until(isShort, 2000), `the log of member ${member} is too long`);
  }
  await lab.restart(0, 1, 2);
  assert.equal(await inc(lab), 101);
  await checkCounter(lab, 101, 3);
}

export const rsmLabs: readonly LabTest[] = [
  { name: '4A rsm Basic', servers: 3, run: basic },
  { name: '4A rsm Concurrent', servers: 3, run: concurrent },
  { name: '4A rsm LeaderFailure', servers: 3, run: leaderFailure },
  { name: '4A rsm LeaderPartition', servers: 3, run: leaderPartition },
  { name: '4A rsm RestartReplay', servers: 3, run: restartReplay },
  { name: '4A rsm Shutdown', servers: 3, run: shutdown },
  { name: '4A rsm RestartSubmit', servers: 3, run: restartSubmit },
  { name: '4C rsm Snapshot', servers: 3, snapshotBytes: SNAPSHOT_BYTES, run: snapshot },
];
