// Changes of members while everything else goes wrong too: a new member joins as a learner, becomes a voter, and another,
// sometimes the leader, is removed and thrown away with its data. Any step may fail; the next round takes up from there.

import { setTimeout as pause } from 'node:timers/promises';
import type { Member } from './chaos-cluster.js';
import type { Scene } from './faults.js';

/** Goes on after the faults have ended: then it must come about. */
const STEP_MS = 120_000;
const POLL_MS = 100;

export interface ChurnCounts {
  joined: number;
  removed: number;
  givenUp: number;
}

/** One round. After it there are as many voters as before, unless a step was given up. */
export async function changeMembers(scene: Scene, voters: number, counts: ChurnCounts): Promise<void> {
  const { cluster, log } = scene;
  const leader = await cluster.leader();
  if (leader === null) return;
  if (cluster.members.length <= voters) {
    const member = await cluster.join(leader.id);
    log(`${member.id} joins`);
    const isIn = await eventually(async () => {
      const reports = await cluster.reports();
      return [...reports.values()].some(
        ({ role, voters }) => role === 'leader' && voters.includes(member.id),
      );
    });
    member.isBusy = false;
    if (!isIn) {
      counts.givenUp += 1;
      log(`${member.id} is not in in time`);
      await remove(scene, member, counts);
      return;
    }
    counts.joined += 1;
    log(`${member.id} votes`);
  }
  const candidates = cluster.idle;
  const out = candidates[scene.random.integer(0, candidates.length - 1)];
  if (out !== undefined && cluster.members.length > voters) await remove(scene, out, counts);
}

async function remove(scene: Scene, member: Member, counts: ChurnCounts): Promise<void> {
  const { cluster, log } = scene;
  member.isBusy = true;
  log(`${member.id} is removed`);
  const isOut = await eventually(async () => {
    const reports = await cluster.reports();
    for (const [id, { role, voters, learners }] of reports) {
      if (role !== 'leader' || id === member.id) continue;
      if (!voters.includes(member.id) && !learners.includes(member.id)) return true;
    }
    const leader = await cluster.leader();
    // Refused while another change is under way or the leader is new: asked again.
    await leader?.process.order({ do: 'remove', id: member.id }).catch(() => undefined);
    return false;
  });
  if (isOut) {
    counts.removed += 1;
    await cluster.discard(member);
    log(`${member.id} is gone`);
    return;
  }
  counts.givenUp += 1;
  member.isBusy = false;
  if (!member.process.isAlive) await cluster.restart(member);
  log(`${member.id} is not removed in time`);
}

/** False if it did not come about in time. */
async function eventually(condition: () => Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + STEP_MS;
  while (performance.now() < endMs) {
    if (await condition()) return true;
    await pause(POLL_MS);
  }
  return false;
}
