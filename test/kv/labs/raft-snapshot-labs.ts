// MIT 6.5840, Raft part 3D, from outside: the log stays short, and who was away is sent a snapshot.

import assert from 'node:assert/strict';
import { logged } from './raft-agreement-labs.js';
import type { LabTest } from './catalogue.js';
import { ELECTION_MS, type Lab } from './lab.js';

const LOG_BYTES_MAX = 2000;
/** Of log, before a snapshot is taken: some ten commands. */
const SNAPSHOT_BYTES = 800;

type Fault = 'nothing' | 'disconnect' | 'crash';

/** The members that are well have a short log, as soon as they have taken their snapshots. */
async function checkLogBytes(lab: Lab, members: readonly number[]): Promise<void> {
  let bytes: number[] = [];
  const areShort = async (): Promise<boolean> => {
    bytes = await Promise.all(
      members.map(async (member) => (await lab.status(member))?.logBytes ?? Infinity),
    );
    return bytes.every((each) => each < LOG_BYTES_MAX);
  };
  assert(await lab.until(areShort, 2000), `logs of ${bytes.join(', ')} bytes`);
}

async function snapshots(lab: Lab, fault: Fault): Promise<number> {
  let command = 0;
  const name = (): string => `${command++}`;
  await lab.one(name(), 3, true);
  let leader = await lab.checkOneLeader();
  for (let round = 0; round < 30; round += 1) {
    const isLeader = round % 3 === 1;
    const victim = isLeader ? leader : (leader + 1) % 3;
    const sender = isLeader ? (leader + 1) % 3 : leader;
    if (fault === 'disconnect') lab.disconnect(victim);
    if (fault === 'crash') await lab.crash(victim);
    if (fault !== 'nothing') await lab.one(name(), 2, true);
    const count = lab.random.integer(5, 14);
    for (let at = 0; at < count; at += 1) lab.start(sender, name());
    await lab.one(name(), fault === 'nothing' ? 3 : 2, true);
    const well = lab.members().filter((member) => fault === 'nothing' || member !== victim);
    await checkLogBytes(lab, well);
    if (fault === 'disconnect') lab.connect(victim);
    if (fault === 'crash') await lab.restart(victim);
    if (fault === 'nothing') continue;
    await lab.one(name(), 3, true);
    leader = await lab.checkOneLeader();
  }
  return lab.installs();
}

async function snapshotBasic(lab: Lab): Promise<void> {
  const installs = await snapshots(lab, 'nothing');
  if (lab.isVirtual) assert.equal(installs, 0, 'nobody needs to be sent a snapshot');
}

async function snapshotInstall(lab: Lab): Promise<void> {
  // How many it takes depends on where the log is cut: whoever was away may still find what it lacks there.
  assert((await snapshots(lab, 'disconnect')) > 0, 'no snapshot was sent');
}

async function snapshotInstallCrash(lab: Lab): Promise<void> {
  assert((await snapshots(lab, 'crash')) > 0, 'no snapshot was sent');
}

async function snapshotAllCrash(lab: Lab): Promise<void> {
  await lab.one('first', 3, true);
  for (let round = 0; round < 5; round += 1) {
    const count = lab.random.integer(5, 14);
    for (let at = 0; at < count; at += 1) await lab.one(`${round}.${at}`, 3, true);
    const name = await lab.one(`${round}.before`, 3, true);
    await lab.crash(0, 1, 2);
    await lab.restart(0, 1, 2);
    const next = await lab.one(`${round}.after`, 3, true);
    const log = await lab.commands(0);
    assert(log.indexOf(next) > log.indexOf(name) && log.includes(name), 'the log goes on');
  }
}

async function snapshotInit(lab: Lab): Promise<void> {
  for (let at = 0; at < 12; at += 1) await lab.one(`${at}`, 3, true);
  for (const name of ['between', 'last']) {
    await lab.crash(0, 1, 2);
    await lab.restart(0, 1, 2);
    await lab.one(name, 3, true);
    await lab.sleep(ELECTION_MS / 10);
  }
}

const three = { servers: 3, snapshotBytes: SNAPSHOT_BYTES };
const unreliable = { ...three, isUnreliable: true };

export const snapshotLabs: readonly LabTest[] = [
  { name: '3D SnapshotBasic', ...three, run: logged(snapshotBasic) },
  { name: '3D SnapshotInstall', ...three, run: logged(snapshotInstall) },
  { name: '3D SnapshotInstallUnreliable', ...unreliable, run: logged(snapshotInstall) },
  { name: '3D SnapshotInstallCrash', ...three, run: logged(snapshotInstallCrash) },
  { name: '3D SnapshotInstallUnCrash', ...unreliable, run: logged(snapshotInstallCrash) },
  { name: '3D SnapshotAllCrash', ...unreliable, run: logged(snapshotAllCrash) },
  { name: '3D SnapshotInit', ...unreliable, run: logged(snapshotInit) },
];
