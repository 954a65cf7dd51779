// MIT 6.5840, Raft parts 3A and 3B, re-created from their description in virtual time (support/lab.ts).

import assert from 'node:assert/strict';
import test from 'node:test';
import { ELECTION_MS, Lab } from './support/lab.js';

const SEED = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 3);

function lab(title: string, count: number, run: (lab: Lab) => void, isUnreliable = false): void {
  test(title, () => {
    for (let seed = SEED; seed < SEED + ROUNDS; seed += 1) {
      try {
        run(new Lab(count, { seed, isUnreliable }));
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

lab('3A InitialElection: one leader, and its term lasts', 3, (lab) => {
  lab.checkOneLeader();
  lab.sleep(50);
  const term = lab.checkTerms();
  assert(term >= 1);
  lab.sleep(2 * ELECTION_MS);
  assert.equal(lab.checkTerms(), term, 'nothing happened, so the term is the same');
  lab.checkOneLeader();
});

lab('3A ReElection: leaders come and go with the quorum', 3, (lab) => {
  const first = lab.checkOneLeader();
  lab.disconnect(first);
  lab.checkOneLeader();
  lab.connect(first);
  const second = lab.checkOneLeader();
  lab.disconnect(second, second + 1);
  lab.sleep(2 * ELECTION_MS);
  lab.checkNoLeader();
  lab.connect(second + 1);
  lab.checkOneLeader();
  lab.connect(second);
  lab.checkOneLeader();
});

lab('3A ManyElections: four of seven always find a leader', 7, (lab) => {
  lab.checkOneLeader();
  for (let round = 0; round < 9; round += 1) {
    const cut = [0, 1, 2].map(() => lab.random.integer(0, 6));
    lab.disconnect(...cut);
    lab.checkOneLeader();
    lab.connect(...cut);
  }
  lab.checkOneLeader();
});

lab('3B BasicAgree: commands are committed in order, none before it was started', 3, (lab) => {
  let last = 0;
  for (const command of ['100', '200', '300']) {
    assert.equal([...lab.applied.values()].includes(command), false);
    const index = lab.one(command, 3, false);
    assert(last === 0 || index === last + 1);
    last = index;
  }
  assert.deepEqual(lab.commands(), ['100', '200', '300']);
});

lab('3B RPCBytes: each entry is sent once to each peer', 3, (lab) => {
  lab.one('99', 3, false);
  const before = lab.world.requestBytes;
  let sent = 0;
  let expected = lab.one('x', 3, false) + 1;
  for (let at = 0; at < 10; at += 1) {
    const command = `${at}`.padEnd(5000, 'y');
    assert.equal(lab.one(command, 3, false), expected);
    expected += 1;
    sent += command.length;
  }
  const bytes = lab.world.requestBytes - before;
  assert(bytes <= 3 * sent + 50_000, `${bytes} bytes for ${sent} of commands`);
});

lab('3B FollowerFailure: two of three agree, one of three does not', 3, (lab) => {
  lab.one('101', 3, false);
  const first = lab.checkOneLeader();
  lab.disconnect(first + 1);
  lab.one('102', 2, false);
  lab.sleep(ELECTION_MS);
  lab.one('103', 2, false);
  const second = lab.checkOneLeader();
  lab.disconnect(second + 1, second + 2);
  const started = lab.start(second, '104');
  assert(started !== null, 'the leader accepts the command');
  lab.sleep(2 * ELECTION_MS);
  assert.equal(lab.committedOn(started.index), 0);
});

lab('3B LeaderFailure: a second failure stops agreement', 3, (lab) => {
  lab.one('101', 3, false);
  const first = lab.checkOneLeader();
  lab.disconnect(first);
  lab.one('102', 2, false);
  lab.sleep(ELECTION_MS);
  const last = lab.one('103', 2, false);
  const second = lab.checkOneLeader();
  lab.disconnect(second);
  for (const member of lab.members()) lab.start(member, '104');
  lab.sleep(2 * ELECTION_MS);
  assert.equal(lab.committedOn(last + 1), 0);
});

lab('3B FailAgree: a follower that was away catches up', 3, (lab) => {
  lab.one('101', 3, false);
  const leader = lab.checkOneLeader();
  lab.disconnect(leader + 1);
  lab.one('102', 2, false);
  lab.one('103', 2, false);
  lab.sleep(ELECTION_MS);
  lab.one('104', 2, false);
  lab.one('105', 2, false);
  lab.connect(leader + 1);
  lab.one('106', 3, true);
  lab.sleep(ELECTION_MS);
  lab.one('107', 3, true);
});

lab('3B FailNoAgree: nothing is committed while three of five are away', 5, (lab) => {
  const last = lab.one('10', 5, false);
  const leader = lab.checkOneLeader();
  lab.disconnect(leader + 1, leader + 2, leader + 3);
  const lost = lab.start(leader, '20');
  assert.equal(lost?.index, last + 1);
  lab.sleep(2 * ELECTION_MS);
  assert.equal(lab.committedOn(last + 1), 0);
  lab.connect(leader + 1, leader + 2, leader + 3);
  const next = lab.checkOneLeader();
  const started = lab.start(next, '30');
  // Behind the no-op of the new term, with or without the lost command.
  assert(started !== null && started.index >= last + 2 && started.index <= last + 3);
  lab.one('1000', 5, true);
});

lab('3B ConcurrentStarts: commands of one turn are all committed', 3, (lab) => {
  const leader = lab.checkOneLeader();
  const commands = ['100', '101', '102', '103', '104'];
  const started = commands.map((command) => lab.start(leader, command));
  for (const each of started) {
    assert.equal(each?.term, started[0]?.term);
    lab.waitFor(each!.index, 3); // compared with the first above, which is not null
  }
  assert.deepEqual(lab.commands(), commands);
});

lab('3B Rejoin: what a cut-off leader took gives way to what was committed', 3, (lab) => {
  lab.one('101', 3, true);
  const first = lab.checkOneLeader();
  lab.disconnect(first);
  for (const command of ['102', '103', '104']) lab.start(first, command);
  lab.one('103', 2, true);
  const second = lab.checkOneLeader();
  lab.disconnect(second);
  lab.connect(first);
  lab.one('104', 2, true);
  lab.connect(second);
  lab.one('105', 3, true);
  assert.deepEqual(lab.commands(), ['101', '103', '104', '105']);
});

lab('3B Backup: long wrong logs are put right quickly', 5, (lab) => {
  const fifty = (name: string): string[] => Array.from({ length: 50 }, (_, at) => `${name}${at}`);
  lab.one('0', 5, true);
  const first = lab.checkOneLeader();
  lab.disconnect(first + 2, first + 3, first + 4);
  for (const command of fifty('a')) lab.start(first, command);
  lab.sleep(ELECTION_MS / 2);
  lab.disconnect(first, first + 1);
  lab.connect(first + 2, first + 3, first + 4);
  for (const command of fifty('b')) lab.one(command, 3, true);
  const second = lab.checkOneLeader();
  const other = [2, 3, 4].map((offset) => (first + offset) % 5).find((member) => member !== second)!; // two others
  lab.disconnect(other);
  for (const command of fifty('c')) lab.start(second, command);
  lab.sleep(ELECTION_MS / 2);
  lab.disconnect(...lab.members());
  lab.connect(first, first + 1, other);
  for (const command of fifty('d')) lab.one(command, 3, true);
  const before = lab.world.requestCount;
  lab.connect(...lab.members());
  lab.one('end', 5, true);
  assert(lab.world.requestCount - before < 300, 'whole terms are skipped, not entries');
  assert.equal(lab.commands().length, 102);
});

lab('3B Count: few requests to elect, to agree and to be idle', 3, (lab) => {
  const leader = lab.checkOneLeader();
  const electing = lab.world.requestCount;
  assert(electing >= 1 && electing <= 30, `${electing} requests to elect a leader`);
  const first = lab.start(leader, 'first');
  const commands = Array.from({ length: 11 }, (_, at) => `${at}`);
  const started = lab.start(leader, ...commands);
  assert.equal(started?.index, first!.index + 1); // the leader takes it
  lab.waitFor(started.index + 9, 3);
  const agreeing = lab.world.requestCount - electing;
  assert(agreeing <= (10 + 1 + 3) * 3, `${agreeing} requests for ten commands`);
  const before = lab.world.requestCount;
  lab.sleep(ELECTION_MS);
  const idle = lab.world.requestCount - before;
  assert(idle <= 3 * 20, `${idle} requests in an idle second`);
});
