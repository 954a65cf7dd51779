// MIT 6.5840, Raft parts 3A and 3B, from outside: commands are appends to one key, whose value is the log. Differences that
// follow from what a member is: a follower passes commands on, and a member that was given a command proposes it until it
// is executed, so that commands given to a leader that was cut off come later and once, where the labs lose them.

import assert from 'node:assert/strict';
import type { LabTest } from './catalogue.js';
import { ELECTION_MS, type Lab } from './lab.js';

const COMMAND_BYTES = 5000;

async function initialElection(lab: Lab): Promise<void> {
  await lab.checkOneLeader();
  await lab.sleep(50);
  const term = await lab.checkTerms();
  assert(term >= 1);
  await lab.sleep(2 * ELECTION_MS);
  const later = await lab.checkTerms();
  if (lab.isVirtual) assert.equal(later, term, 'nothing happened, so the term is the same');
  await lab.checkOneLeader();
}

async function reElection(lab: Lab): Promise<void> {
  const first = await lab.checkOneLeader();
  lab.disconnect(first);
  await lab.checkOneLeader();
  lab.connect(first);
  const second = await lab.checkOneLeader();
  lab.disconnect(second, second + 1);
  await lab.sleep(2 * ELECTION_MS);
  await lab.checkNoLeader();
  lab.connect(second + 1);
  await lab.checkOneLeader();
  lab.connect(second);
  await lab.checkOneLeader();
}

async function manyElections(lab: Lab): Promise<void> {
  await lab.checkOneLeader();
  for (let round = 0; round < 9; round += 1) {
    const cut = [0, 1, 2].map(() => lab.random.integer(0, 6));
    lab.disconnect(...cut);
    await lab.checkOneLeader();
    lab.connect(...cut);
  }
  await lab.checkOneLeader();
}

async function basicAgree(lab: Lab): Promise<void> {
  for (const command of ['100', '200', '300']) {
    assert.equal(await lab.holders(command), 0, 'nothing is committed before it was started');
    assert.equal(await lab.one(command, 3, false), command);
  }
  assert.deepEqual(await lab.commands(0), ['100', '200', '300']);
}

async function rpcBytes(lab: Lab): Promise<void> {
  await lab.one('99', 3, false);
  const before = await lab.traffic();
  let sent = 0;
  for (let at = 0; at < 10; at += 1) {
    const command = `${at}`.padEnd(COMMAND_BYTES, 'y');
    await lab.one(command, 3, false);
    sent += command.length;
  }
  const bytes = (await lab.traffic()).bytes - before.bytes;
  // Up to two copies beside the one to each peer, as one(…) may ask a follower, which passes it on.
  assert(bytes <= 3 * sent + 50_000, `${bytes} bytes for ${sent} of commands`);
}

async function followerFailure(lab: Lab): Promise<void> {
  await lab.one('101', 3, false);
  const first = await lab.checkOneLeader();
  lab.disconnect(first + 1);
  await lab.one('102', 2, false);
  await lab.sleep(ELECTION_MS);
  await lab.one('103', 2, false);
  const second = await lab.checkOneLeader();
  lab.disconnect(second + 1, second + 2);
  lab.start(second, '104');
  await lab.sleep(2 * ELECTION_MS);
  assert.equal(await lab.holders('104'), 0);
}

async function leaderFailure(lab: Lab): Promise<void> {
  await lab.one('101', 3, false);
  lab.disconnect(await lab.checkOneLeader());
  await lab.one('102', 2, true);
  await lab.sleep(ELECTION_MS);
  await lab.one('103', 2, false);
  lab.disconnect(await lab.checkOneLeader());
  for (const member of lab.members()) lab.start(member, `104-${member}`);
  await lab.sleep(2 * ELECTION_MS);
  for (const member of lab.members()) assert.equal(await lab.holders(`104-${member}`), 0);
}

async function failAgree(lab: Lab): Promise<void> {
  await lab.one('101', 3, false);
  const leader = await lab.checkOneLeader();
  lab.disconnect(leader + 1);
  await lab.one('102', 2, false);
  await lab.one('103', 2, false);
  await lab.sleep(ELECTION_MS);
  await lab.one('104', 2, false);
  await lab.one('105', 2, false);
  lab.connect(leader + 1);
  await lab.one('106', 3, true);
  await lab.sleep(ELECTION_MS);
  await lab.one('107', 3, true);
}

async function failNoAgree(lab: Lab): Promise<void> {
  await lab.one('10', 5, false);
  const leader = await lab.checkOneLeader();
  lab.disconnect(leader + 1, leader + 2, leader + 3);
  lab.start(leader, '20');
  await lab.sleep(2 * ELECTION_MS);
  assert.equal(await lab.holders('20'), 0);
  lab.connect(leader + 1, leader + 2, leader + 3);
  lab.start(await lab.checkOneLeader(), '30');
  await lab.one('1000', 5, true);
}

async function concurrentStarts(lab: Lab): Promise<void> {
  const leader = await lab.checkOneLeader();
  const commands = ['100', '101', '102', '103', '104'];
  for (const command of commands) lab.start(leader, command);
  const areThere = async (): Promise<boolean> =>
    (await Promise.all(lab.members().map((member) => lab.commands(member)))).every(
      (log) => log.length === commands.length,
    );
  assert(await lab.until(areThere, 5000), 'the commands did not reach all members');
  assert.deepEqual((await lab.commands(leader)).toSorted(), commands);
}

async function rejoin(lab: Lab): Promise<void> {
  await lab.one('101', 3, true);
  const first = await lab.checkOneLeader();
  lab.disconnect(first);
  for (const command of ['102', '103', '104']) lab.start(first, command);
  await lab.one('103-new', 2, true);
  const second = await lab.checkOneLeader();
  lab.disconnect(second);
  lab.connect(first);
  await lab.one('104-new', 2, true);
  lab.connect(second);
  await lab.one('105', 3, true);
}

async function backup(lab: Lab): Promise<void> {
  const fifty = (name: string): string[] => Array.from({ length: 50 }, (_, at) => `${name}${at}`);
  await lab.one('0', 5, true);
  const first = await lab.checkOneLeader();
  lab.disconnect(first + 2, first + 3, first + 4);
  for (const command of fifty('a')) lab.start(first, command);
  await lab.sleep(ELECTION_MS / 2);
  lab.disconnect(first, first + 1);
  lab.connect(first + 2, first + 3, first + 4);
  for (const command of fifty('b')) await lab.one(command, 3, true);
  const second = await lab.checkOneLeader();
  const other = [2, 3, 4].map((offset) => (first + offset) % 5).find((member) => member !== second)!; // two others
  lab.disconnect(other);
  for (const command of fifty('c')) lab.start(second, command);
  await lab.sleep(ELECTION_MS / 2);
  lab.disconnect(...lab.members());
  lab.connect(first, first + 1, other);
  for (const command of fifty('d')) await lab.one(command, 3, true);
  lab.connect(...lab.members());
  await lab.one('end', 5, true);
}

async function count(lab: Lab): Promise<void> {
  const leader = await lab.checkOneLeader();
  const electing = (await lab.traffic()).requests;
  // 30 (half of them heartbeats), and four entries of members that first meet: where each is, and what all speak. Each may
  // be a proposal, an append and the news of its commit to both others.
  assert(electing >= 1 && electing <= 30 + 4 * 5, `${electing} requests to elect a leader`);
  const commands = Array.from({ length: 11 }, (_, at) => `${at}`);
  lab.start(leader, 'first');
  for (const command of commands) lab.start(leader, command);
  const isThere = async (): Promise<boolean> => (await lab.holders('9')) === 3;
  assert(await lab.until(isThere, 5000), 'the commands did not reach all members');
  const agreeing = (await lab.traffic()).requests - electing;
  assert(agreeing <= (10 + 1 + 3) * 3, `${agreeing} requests for ten commands`);
  await lab.until(async () => (await lab.holders('10')) === 3, 5000);
  const before = (await lab.traffic()).requests;
  await lab.sleep(ELECTION_MS);
  const idle = (await lab.traffic()).requests - before;
  assert(idle <= 3 * 20, `${idle} requests in an idle second`);
}

export const agreementLabs: readonly LabTest[] = [
  { name: '3A InitialElection', servers: 3, run: initialElection },
  { name: '3A ReElection', servers: 3, run: reElection },
  { name: '3A ManyElections', servers: 7, run: manyElections },
  { name: '3B BasicAgree', servers: 3, run: logged(basicAgree) },
  { name: '3B RPCBytes', servers: 3, run: logged(rpcBytes) },
  { name: '3B FollowerFailure', servers: 3, run: logged(followerFailure) },
  { name: '3B LeaderFailure', servers: 3, run: logged(leaderFailure) },
  { name: '3B FailAgree', servers: 3, run: logged(failAgree) },
  { name: '3B FailNoAgree', servers: 5, run: logged(failNoAgree) },
  { name: '3B ConcurrentStarts', servers: 3, run: logged(concurrentStarts) },
  { name: '3B Rejoin', servers: 3, run: logged(rejoin) },
  { name: '3B Backup', servers: 5, run: logged(backup) },
  { name: '3B Count', servers: 3, run: logged(count) },
];

/** And in the end all have the same log. */
export function logged(run: (lab: Lab) => Promise<void>): (lab: Lab) => Promise<void> {
  return async (lab) => {
    await run(lab);
    await lab.checkLogs();
  };
}
