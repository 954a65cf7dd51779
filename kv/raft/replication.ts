// A leader's sending half: who gets which entries, heartbeats and snapshot chunks now. core.ts makes one per term of
// leadership and tells it what came back; progress.ts keeps the state per member. Decides, and sends through the view.

import { type Entry, entryBytes, type NodeId, type SnapshotMeta } from './entry.js';
import type { RaftLog } from './log.js';
import { type AppendResponse, chunkOf, type RaftMessage, type SnapshotResponse } from './message.js';
import type { RaftOptions } from './options.js';
import { CHUNK_PATIENCE_TICKS, Progress } from './progress.js';
import type { Rules } from './rules.js';

/** What of its member the leader looks at. */
export interface LeaderView {
  readonly log: RaftLog;
  term(): number;
  commitIndex(): number;
  snapshot(): SnapshotMeta;
  nowTick(): number;
  send(to: NodeId, message: RaftMessage): void;
}

export class Replication {
  readonly #view: LeaderView;
  readonly #options: Required<RaftOptions>;
  readonly #rules: Rules;
  readonly #members = new Map<NodeId, Progress>();
  #chunkBudget: number;

  constructor(view: LeaderView, options: Required<RaftOptions>, rules: Rules, members: readonly NodeId[]) {
    this.#view = view;
    this.#options = options;
    this.#rules = rules;
    this.#chunkBudget = options.snapshotBytesPerTick;
    this.setMembers(members);
  }

  get members(): Iterable<Progress> {
    return this.#members.values();
  }

  of(id: NodeId): Progress | undefined {
    return this.#members.get(id);
  }

  setMembers(members: readonly NodeId[]): void {
    for (const id of this.#members.keys()) if (!members.includes(id)) this.#members.delete(id);
    for (const id of members) {
      if (id === this.#options.id || this.#members.has(id)) continue;
      const limits = {
        messagesMax: this.#options.inflightMessagesMax,
        bytesMax: this.#options.inflightBytesMax,
      };
      this.#members.set(id, new Progress(id, this.#view.log.lastIndex + 1, limits));
    }
  }

  /** Entries to everybody who may be sent some. */
  broadcast(): void {
    for (const progress of this.#members.values()) this.#sendEntries(progress);
  }

  /** The commit index to everybody who was not told yet. */
  broadcastCommit(): void {
    for (const progress of this.#members.values()) {
      if (progress.toldCommit < this.#view.commitIndex() && !progress.isPaused)
        this.#sendAppend(progress, true);
    }
  }

  heartbeat(round: number): void {
    for (const progress of this.#members.values()) {
      const commit = Math.min(progress.match, this.#view.commitIndex());
      this.#view.send(progress.id, { type: 'heartbeat', term: this.#view.term(), commit, round });
    }
  }

  /** Refills what may be sent of snapshots and sends again what was not answered. */
  tick(): void {
    this.#chunkBudget = this.#options.snapshotBytesPerTick;
    for (const progress of this.#members.values()) {
      const { transfer } = progress;
      if (transfer === null) continue;
      const { electionTicks } = this.#options;
      const isWhole = transfer.offset > 0 && transfer.offset === transfer.snapshot.byteCount;
      const patienceTicks = isWhole ? electionTicks : Math.min(electionTicks, transfer.patienceTicks);
      if (transfer.isWaiting && this.#view.nowTick() - transfer.sinceTick >= patienceTicks) {
        transfer.isWaiting = false;
        transfer.patienceTicks = Math.min(electionTicks, 2 * transfer.patienceTicks);
      }
      this.#sendChunk(progress);
    }
  }

  /** True if the member is known to hold more than before. */
  appendAnswered(progress: Progress, message: AppendResponse): boolean {
    progress.isActive = true;
    if (!message.success) {
      this.#refused(progress, message);
      return false;
    }
    const isNews = progress.matched(message.matchIndex);
    if (progress.state === 'probe' && (isNews || progress.match === message.matchIndex)) {
      progress.becomeReplicate();
    } else if (progress.transfer !== null) {
      // The snapshot arrived, though perhaps too late to go on from the log; or it is not needed any more.
      const goal = Math.min(progress.transfer.snapshot.index, this.#view.log.offset);
      if (progress.match >= goal) progress.becomeReplicate();
    }
    this.#sendEntries(progress);
    return isNews;
  }

  heartbeatAnswered(progress: Progress): void {
    progress.isActive = true;
    progress.isProbing = false;
    progress.freeOne();
    // An append that was lost is found out by asking for the end of what was sent.
    const lags = progress.match < this.#view.log.lastIndex;
    if (lags || progress.state === 'probe') {
      if (!this.#sendEntries(progress) && !progress.isPaused) this.#sendAppend(progress, true);
    }
  }

  snapshotAnswered(progress: Progress, message: SnapshotResponse): void {
    progress.isActive = true;
    const { transfer } = progress;
    if (transfer === null || transfer.snapshot.index !== message.index) return;
    // Said twice, or before the chunk on its way arrived: answering would send it twice as well.
    if (transfer.isWaiting && message.nextOffset === transfer.offset) return;
    const nowTick = this.#view.nowTick();
    transfer.offset = Math.min(message.nextOffset, transfer.snapshot.byteCount);
    transfer.sinceTick = nowTick;
    transfer.patienceTicks = Math.max(CHUNK_PATIENCE_TICKS, 2 * (nowTick - (transfer.askedTick ?? nowTick)));
    transfer.askedTick = null;
    // All of it is there: the next answer is the installed snapshot's, or silence makes us ask again.
    const isDone = transfer.offset === transfer.snapshot.byteCount;
    transfer.isWaiting = isDone;
    this.#sendChunk(progress);
  }

  /** The lowest snapshot that is being sent to a member that answers; the log behind it is needed soon. */
  oldestTransferIndex(): number {
    let oldest = Number.MAX_SAFE_INTEGER;
    for (const { transfer, isActive } of this.#members.values()) {
      if (transfer !== null && isActive) oldest = Math.min(oldest, transfer.snapshot.index);
    }
    return oldest;
  }

  /** Whether a member is being sent a snapshot, or answers and lacks entries up to `index`. */
  isCatchingUp(index: number): boolean {
    for (const { transfer, isActive, match } of this.#members.values()) {
      if (transfer !== null || (isActive && match < index)) return true;
    }
    return false;
  }

  #refused(progress: Progress, message: AppendResponse): void {
    const refused = message.matchIndex;
    if (refused <= progress.match) return; // older than what is known since
    if (progress.state === 'replicate') {
      progress.becomeProbe();
    } else {
      if (progress.state !== 'probe' || refused !== progress.next - 1) return; // of an earlier probe
      progress.next = Math.max(progress.match + 1, Math.min(refused, this.#nextGuess(message)));
      progress.isProbing = false;
    }
    this.#sendEntries(progress);
  }

  /** Skips whole terms (Raft 5.3): behind our last entry of their term, or to where their term began. */
  #nextGuess({ conflictTerm, conflictIndex, matchIndex }: AppendResponse): number {
    if (conflictTerm === 0) return conflictIndex;
    const { log } = this.#view;
    const index = log.lastIndexUpToTerm(conflictTerm, matchIndex - 1);
    return log.matches(index, conflictTerm) ? index + 1 : conflictIndex;
  }

  /** Sends what there is as far as it may; true if something was sent. */
  #sendEntries(progress: Progress): boolean {
    let hasSent = false;
    while (!progress.isPaused && progress.next <= this.#view.log.lastIndex) {
      if (!this.#sendAppend(progress, false)) break;
      hasSent = true;
    }
    return hasSent;
  }

  #sendAppend(progress: Progress, mayBeEmpty: boolean): boolean {
    const { log } = this.#view;
    const term = this.#view.term();
    const commitIndex = this.#view.commitIndex();
    const prevIndex = progress.next - 1;
    const prevTerm = log.termAt(prevIndex);
    if (this.#rules.needsSnapshot(prevTerm !== undefined, log.lastIndex === log.offset)) {
      this.#beginTransfer(progress);
      return false;
    }
    if (prevTerm === undefined) return false;
    const entries = log.slice(progress.next, log.lastIndex, this.#options.messageBytesMax);
    if (entries.length === 0 && !mayBeEmpty) return false;
    this.#view.send(progress.id, { type: 'append', term, prevIndex, prevTerm, entries, commit: commitIndex });
    progress.toldCommit = commitIndex;
    progress.sent(prevIndex + entries.length, bytesOf(entries));
    return true;
  }

  #beginTransfer(progress: Progress): void {
    if (!progress.isActive) return; // nobody there to receive it
    progress.becomeSnapshot(this.#view.snapshot(), this.#view.nowTick());
    this.#sendChunk(progress);
  }

  #sendChunk(progress: Progress): void {
    const { transfer } = progress;
    if (transfer === null || transfer.isWaiting || !this.#maySendChunk(progress)) return;
    const { snapshot, offset } = transfer;
    const byteCount = Math.min(this.#options.chunkBytes, snapshot.byteCount - offset);
    // Whoever stored all and does not report it installed has forgotten it: it begins anew.
    if (byteCount === 0 && offset > 0) {
      progress.becomeProbe();
      this.#sendAppend(progress, true);
      return;
    }
    transfer.isWaiting = true;
    transfer.sinceTick = this.#view.nowTick();
    transfer.askedTick ??= transfer.sinceTick;
    this.#chunkBudget -= byteCount;
    this.#view.send(progress.id, chunkOf(this.#view.term(), snapshot, offset, byteCount));
  }

  /** The first few of those that answer, and within the bytes of this tick. */
  #maySendChunk(progress: Progress): boolean {
    if (this.#options.snapshotBytesPerTick > 0 && this.#chunkBudget <= 0) return false;
    let earlier = 0;
    for (const other of this.#members.values()) {
      if (other === progress) return true;
      if (other.transfer !== null && other.isActive) earlier += 1;
      if (earlier >= this.#options.transfersMax) return false;
    }
    return true;
  }
}

function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}
