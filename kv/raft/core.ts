// One member of a Raft cluster as a synchronous, pure state machine: every input returns the effects it calls for.
// A driver feeds it ticks, messages, proposals and the completion of writes, and carries out the effects (effects.ts).
// No clock, no chance, no promise, no I/O: the same inputs give the same effects, which is what the simulator rests on.
// Leaves to others: what a leader sends (replication.ts), what waits for the disk (write-queue.ts), the rules (rules.ts).

import { type ConfigAt, ConfigHistory } from './config-history.js';
import type { Effect, Role, StepDownReason } from './effects.js';
import {
  EMPTY,
  type Entry,
  type EntryKind,
  entryBytes,
  type HardState,
  type NodeId,
  type RestoredState,
  type SnapshotMeta,
} from './entry.js';
import { assert, RaftError, type RaftErrorCode } from './errors.js';
import { RaftLog } from './log.js';
import {
  changed,
  checkNodeId,
  type ConfigChange,
  type ConfigTransition,
  encodeMembership,
  isVoter,
  left,
  membersOf,
  type Membership,
} from './membership.js';
import {
  type AppendRequest,
  type AppendResponse,
  checkMessage,
  type Heartbeat,
  isCount,
  type ProposeRequest,
  type RaftMessage,
  type SnapshotChunk,
  type VoteRequest,
  type VoteResponse,
} from './message.js';
import { completeOptions, type RaftOptions } from './options.js';
import { ReadForwarding } from './read-forwarding.js';
import { ReadRounds, type ReadRequester } from './read-rounds.js';
import { type LeaderView, Replication } from './replication.js';
import { checkRestored } from './restored-state.js';
import { type Rules, RULES } from './rules.js';
import { SnapshotReceiver } from './snapshot-receiver.js';
import { WriteQueue } from './write-queue.js';

/** A member as others may look at it: a copy. */
export interface RaftStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly term: number;
  readonly vote: NodeId | null;
  readonly leader: NodeId | null;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly durableIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly snapshotIndex: number;
  readonly logBytes: number;
  readonly uncommittedBytes: number;
  readonly membership: Membership;
  readonly transferee: NodeId | null;
  /** Of a leader: each other member. */
  readonly progress: readonly MemberStatus[];
}

export interface MemberStatus {
  readonly id: NodeId;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly match: number;
  readonly next: number;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
}

interface Outgoing {
  readonly to: NodeId;
  readonly message: RaftMessage;
  readonly rests: 'log' | 'term' | 'nothing';
}

/** The leader is asked again for a read that it has not answered within so many heartbeats. */
const READ_PATIENCE_HEARTBEATS = 2;

export class RaftCore {
  readonly #options: Required<RaftOptions>;
  readonly #random: () => number;
  readonly #rules: Rules;
  readonly #log: RaftLog;
  readonly #writes: WriteQueue;
  readonly #forwarding: ReadForwarding;
  readonly #reads: ReadRounds = new ReadRounds();
  #configs: ConfigHistory;
  #snapshot: SnapshotMeta;

  #term: number;
  #vote: NodeId | null;
  #isHardStateUnsaved = false;
  /** The first entry that storage was not asked to keep yet. */
  #unsavedFrom: number;
  #commit: number;
  #handedOut: number;
  #applied: number;

  #role: Role = 'follower';
  #leader: NodeId | null = null;
  #stepDownReason: StepDownReason | null = null;
  #votes = new Map<NodeId, boolean>();
  /** What voters were asked last. */
  #voteRequest: VoteRequest | null = null;
  #replication: Replication | null = null;
  /** Of a leader: its no-op, the first entry of its term. */
  #termStart = 0;
  #uncommittedBytes = 0;
  #transferee: NodeId | null = null;
  #transferTicks = 0;
  #isLeaseBroken = false;

  #nowTick = 0;
  /** Since a leader was heard; of a leader since its last check of the quorum. */
  #electionTicks = 0;
  #electionTimeout = 0;
  #heartbeatTicks = 0;

  #receiver: SnapshotReceiver | null = null;
  readonly #chunkTokens = new Map<number, SnapshotReceiver>();
  #isTakingSnapshot = false;
  #snapshotTick = 0;
  #noSnapshotUntilTick = 0;
  /** There may be more log behind the snapshot than there should: for a snapshot that is being sent, or since the start. */
  #hasSpareLog: boolean;
  #applying: { readonly lastIndex: number; readonly byteCount: number }[] = [];
  #applyingBytes = 0;
  #readyReads: { readonly index: number; readonly contexts: readonly unknown[] }[] = [];
  #nextForwardId: number;
  #hasFailed = false;

  #effects: Effect[] = [];
  #outgoing: Outgoing[] = [];
  #reported = { role: 'follower' as Role, term: 0, leader: null as NodeId | null };

  /**
   * @param random from 0 up to, not including, 1: spreads election timeouts and tells lives apart
   * @param restored what storage holds; `bootstrap()` for a new member
   * @param rules for tests only
   * @throws RaftError KV_RAFT_OPTION_INVALID, or KV_RAFT_STATE_INVALID when `restored` contradicts itself
   */
  constructor(options: RaftOptions, random: () => number, restored: RestoredState, rules: Rules = RULES) {
    this.#options = completeOptions(options);
    this.#random = random;
    this.#rules = rules;
    const { hardState, snapshot, entries, commit, applied, offset } = checkRestored(restored);
    this.#log = new RaftLog(offset.index, offset.term);
    this.#log.append(entries);
    this.#snapshot = snapshot;
    this.#hasSpareLog = offset.index < snapshot.index;
    this.#configs = new ConfigHistory({ index: snapshot.index, membership: snapshot.membership });
    this.#configs.append(entries.filter((entry) => entry.index > snapshot.index));
    this.#writes = new WriteQueue(this.#log.lastIndex);
    this.#unsavedFrom = this.#log.lastIndex + 1;
    this.#term = hardState.term;
    this.#vote = hardState.vote;
    this.#commit = commit;
    this.#applied = applied;
    this.#handedOut = applied;
    this.#reported.term = this.#term;
    const firstId = Math.floor(random() * 2 ** 31) * 2 ** 21;
    this.#forwarding = new ReadForwarding(firstId);
    this.#nextForwardId = firstId;
    this.#resetElection();
    this.#checkInvariants();
  }

  get id(): NodeId {
    return this.#options.id;
  }

  get role(): Role {
    return this.#role;
  }

  get term(): number {
    return this.#term;
  }

  get leader(): NodeId | null {
    return this.#leader;
  }

  get commitIndex(): number {
    return this.#commit;
  }

  get appliedIndex(): number {
    return this.#applied;
  }

  get lastIndex(): number {
    return this.#log.lastIndex;
  }

  get snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  /** The newest in the log, committed or not: the one in force. */
  get membership(): Membership {
    return this.#configs.latest.membership;
  }

  status(): RaftStatus {
    const progress = [...(this.#replication?.members ?? [])].map((member) => ({
      id: member.id,
      state: member.state,
      match: member.match,
      next: member.next,
      inflightMessages: member.inflightCount,
      inflightBytes: member.inflightBytes,
    }));
    return {
      id: this.id,
      role: this.#role,
      term: this.#term,
      vote: this.#vote,
      leader: this.#leader,
      firstIndex: this.#log.offset + 1,
      lastIndex: this.#log.lastIndex,
      lastTerm: this.#log.lastTerm,
      durableIndex: this.#writes.durableIndex,
      commitIndex: this.#commit,
      appliedIndex: this.#applied,
      snapshotIndex: this.#snapshot.index,
      logBytes: this.#log.byteCount,
      uncommittedBytes: this.#uncommittedBytes,
      membership: this.membership,
      transferee: this.#transferee,
      progress,
    };
  }

  /** An entry this member holds in memory; undefined before its first and behind its last. */
  entryAt(index: number): Entry | undefined {
    return this.#log.entryAt(index);
  }

  /** Snapshots that members are being sent right now: the driver keeps their bytes. */
  snapshotsInUse(): readonly SnapshotMeta[] {
    const sent = [...(this.#replication?.members ?? [])].flatMap(({ transfer }) =>
      transfer === null ? [] : [transfer.snapshot],
    );
    return [...new Set([this.#snapshot, ...sent])];
  }

  /** One unit of time has passed. Never waits for anything, so it may be called while writes hang. */
  tick(): Effect[] {
    this.#nowTick += 1;
    if (this.#hasFailed) return this.#finish();
    const expired = this.#forwarding.expired(this.#nowTick, this.#options.electionTicks);
    this.#failReads(expired, 'KV_RAFT_READ_TIMEOUT');
    this.#askForReads();
    if (this.#role === 'leader') this.#tickLeader();
    else this.#tickOther();
    // Or nobody would before the next snapshot.
    const isNeeded = this.#hasSpareLog && this.#replication?.isCatchingUp(this.#snapshot.index) === true;
    if (this.#hasSpareLog && !isNeeded) this.#compact();
    return this.#finish();
  }

  /**
   * A message arrived. What comes from members that were removed, from earlier terms or twice is sorted out here.
   * @throws RaftError KV_RAFT_MESSAGE_INVALID if no member sends such a thing; nothing was changed
   * @throws RaftError KV_RAFT_LOG_LOST if this member forgot what it acknowledged: it must not go on
   */
  receive(from: NodeId, message: RaftMessage): Effect[] {
    checkNodeId(from);
    checkMessage(message);
    if (this.#hasFailed || from === this.id) return this.#finish();
    switch (message.type) {
      case 'propose':
        this.#onPropose(from, message);
        break;
      case 'propose-response':
        this.#effects.push({
          kind: 'forward-answered',
          id: message.id,
          index: message.index,
          term: message.term,
        });
        break;
      case 'read':
        this.#onRead(from, message.id);
        break;
      case 'read-response':
        this.#readsAreReady(this.#forwarding.answered(message.id), message.index);
        this.#askForReads();
        break;
      default:
        this.#onTermMessage(from, message);
    }
    return this.#finish();
  }

  /**
   * Adds entries to the replicated log, in one go. The core owns the bytes from now on. The first effect says where they
   * stand (`proposed`) or that they went to the leader (`forwarded`); neither says that they will be committed.
   * @throws RaftError KV_RAFT_NO_LEADER, KV_RAFT_NOT_LEADER, KV_RAFT_TRANSFERRING, KV_RAFT_PROPOSALS_FULL,
   *   KV_RAFT_ENTRY_TOO_LARGE or KV_RAFT_STORAGE_FAILED: refused, nothing was changed
   */
  propose(data: readonly Uint8Array[]): Effect[] {
    if (!Array.isArray(data) || data.length === 0 || !data.every((each) => each instanceof Uint8Array)) {
      throw new RaftError('KV_RAFT_ARGUMENT_INVALID', 'propose takes a list of one or more byte arrays');
    }
    if (this.#role !== 'leader') return this.#forward(data);
    const refusal = this.#refusal(data);
    if (refusal !== null) throw new RaftError(refusal, 'the proposal was refused');
    this.#effects.push(this.#take(data));
    return this.#finish();
  }

  /**
   * A write is done, and so every write before it: `persist` and `install` end in order. For a `store-chunk` only itself.
   * @throws RaftError KV_RAFT_TOKEN_UNKNOWN
   */
  persisted(token: number): Effect[] {
    if (!this.#writes.wasIssued(token)) throw unknownToken(token);
    if (this.#hasFailed) return this.#finish();
    const receiver = this.#chunkTokens.get(token);
    if (receiver !== undefined) {
      this.#chunkTokens.delete(token);
      if (receiver.stored(token) && receiver === this.#receiver) this.#chunkStored(receiver);
      return this.#finish();
    }
    for (const write of this.#writes.complete(token)) {
      if (write.install !== null) this.#installed(write.install);
    }
    if (this.#role === 'candidate' && this.#writes.isHardStateDurable) this.#count(this.id, true);
    this.#advanceCommit();
    return this.#finish();
  }

  /** The received snapshot is damaged or cannot be installed: it is asked for again. @throws as `persisted` */
  installFailed(token: number): Effect[] {
    if (!this.#writes.wasIssued(token)) throw unknownToken(token);
    const failed = this.#writes.complete(token).at(-1)?.install;
    if (failed === undefined || failed === null) throw unknownToken(token);
    const from = this.#receiver?.from;
    this.#receiver = null;
    if (from !== undefined && !this.#hasFailed) this.#answerChunk(from, failed.index, 0);
    return this.#finish();
  }

  /** A write failed, or may have. This core neither votes nor leads nor writes any more, until a healthy restart. */
  storageFailed(): Effect[] {
    if (this.#hasFailed) return this.#finish();
    this.#becomeFollower(this.#term, null, 'storage-failed');
    this.#failReads(
      this.#readyReads.splice(0).flatMap(({ contexts }) => contexts),
      'KV_RAFT_STORAGE_FAILED',
    );
    this.#hasFailed = true;
    return this.#finish();
  }

  /**
   * The state machine holds everything up to `index`.
   * @throws RaftError KV_RAFT_ARGUMENT_INVALID beyond what was handed out
   */
  applied(index: number): Effect[] {
    if (!isCount(index) || index > this.#handedOut) {
      throw new RaftError('KV_RAFT_ARGUMENT_INVALID', `entry ${index} was not handed out for applying`);
    }
    this.#applied = Math.max(this.#applied, index);
    const open = this.#applying.findIndex(({ lastIndex }) => lastIndex > index);
    const done = this.#applying.splice(0, open === -1 ? this.#applying.length : open);
    for (const { byteCount } of done) this.#applyingBytes -= byteCount;
    return this.#finish();
  }

  /**
   * A snapshot of the state machine at `index` is durable: older log may go. One that is older than the newest is
   * ignored.
   * @throws RaftError KV_RAFT_ARGUMENT_INVALID if nothing was applied up to there
   */
  snapshotted(index: number, byteCount: number): Effect[] {
    if (!isCount(index) || index > this.#applied || !isCount(byteCount)) {
      throw new RaftError('KV_RAFT_ARGUMENT_INVALID', `there can be no snapshot at ${index}`);
    }
    this.#isTakingSnapshot = false;
    this.#snapshotTick = this.#nowTick;
    if (index <= this.#snapshot.index || this.#hasFailed) return this.#finish();
    this.#snapshot = { ...this.describeSnapshot(index), byteCount };
    this.#configs.compactTo(index);
    this.#compact();
    return this.#finish();
  }

  /** The snapshot that was asked for was not taken; it is asked for again after an election timeout. */
  snapshotFailed(): Effect[] {
    this.#isTakingSnapshot = false;
    this.#snapshotTick = this.#nowTick;
    // What failed would fail again at once: a full disk takes a while to be freed.
    this.#noSnapshotUntilTick = this.#nowTick + this.#options.electionTicks;
    return this.#finish();
  }

  /**
   * What a snapshot taken at `index` has to say of itself.
   * @throws RaftError KV_RAFT_ARGUMENT_INVALID if `index` is older than the log or not applied
   */
  describeSnapshot(index: number): Omit<SnapshotMeta, 'byteCount'> {
    const term = this.#log.termAt(index);
    if (term === undefined || index > this.#applied || index < this.#snapshot.index) {
      throw new RaftError('KV_RAFT_ARGUMENT_INVALID', `there can be no snapshot at ${index}`);
    }
    return { index, term, membership: this.#configs.at(index).membership };
  }

  /**
   * Asks for the moment at which the state machine may answer a linearizable read; `context` comes back in `reads-ready`
   * or `reads-failed`.
   * @throws RaftError KV_RAFT_NO_LEADER, KV_RAFT_READS_FULL or KV_RAFT_STORAGE_FAILED
   */
  readIndex(context: unknown): Effect[] {
    if (this.#hasFailed) throw storageFailed();
    if (this.#reads.count + this.#forwarding.count + this.#readyReads.length >= this.#options.readsMax) {
      throw new RaftError('KV_RAFT_READS_FULL', `${this.#options.readsMax} reads wait already`);
    }
    if (this.#role === 'leader') {
      this.#reads.add({ from: null, id: 0, contexts: [context] });
      this.#serveReads();
    } else {
      if (this.#leader === null) throw new RaftError('KV_RAFT_NO_LEADER', 'no leader is known');
      this.#forwarding.add(context);
      this.#askForReads();
    }
    return this.#finish();
  }

  /**
   * Hands leadership over: proposals are refused until `to` took it or an election timeout has passed.
   * @throws RaftError KV_RAFT_NOT_LEADER, or KV_RAFT_TRANSFER_INVALID unless `to` is another voter
   */
  transferLeadership(to: NodeId): Effect[] {
    const replication = this.#leading();
    if (to === this.id || !this.membership.voters.includes(to)) {
      throw new RaftError('KV_RAFT_TRANSFER_INVALID', `member ${to} is no other voter`);
    }
    if (this.#transferee === to) return this.#finish();
    this.#endTransfer('replaced');
    this.#transferee = to;
    this.#transferTicks = 0;
    this.#isLeaseBroken = true;
    replication.broadcast();
    this.#proceedTransfer();
    return this.#finish();
  }

  /**
   * Changes who belongs to the cluster; an empty list leaves a joint configuration. One change at a time.
   * @throws RaftError KV_RAFT_NOT_LEADER, KV_RAFT_NOT_READY, KV_RAFT_CONFIG_PENDING, KV_RAFT_CONFIG_INVALID,
   *   KV_RAFT_TRANSFERRING: refused, nothing was changed
   */
  changeConfig(changes: readonly ConfigChange[], transition: ConfigTransition = 'auto'): Effect[] {
    this.#leading();
    if (this.#transferee !== null) throw new RaftError('KV_RAFT_TRANSFERRING', 'leadership is handed over');
    if (this.#configs.latest.index > this.#commit) {
      throw new RaftError('KV_RAFT_CONFIG_PENDING', 'the last change is not committed');
    }
    if (this.#commit < this.#termStart) {
      throw new RaftError('KV_RAFT_NOT_READY', 'no entry of this term is committed yet');
    }
    const index = this.#log.lastIndex + 1;
    this.#appendConfig(changed(this.membership, changes, transition));
    this.#effects.unshift({ kind: 'proposed', index, term: this.#term, count: 1 });
    return this.#finish();
  }

  // -- time ------------------------------------------------------------------------------------------------------

  #tickOther(): void {
    this.#electionTicks += 1;
    if (this.#electionTicks < this.#electionTimeout) {
      const isDue = this.#electionTicks % this.#options.heartbeatTicks === 0;
      if (isDue && this.#role !== 'follower') this.#askVoters();
      return;
    }
    this.#resetElection();
    this.#setLeader(null);
    if (this.#isPromotable()) this.#campaign(this.#options.preVote ? 'pre-vote' : 'vote');
  }

  #tickLeader(): void {
    const replication = this.#leading();
    if (this.#writes.oldestAgeTicks(this.#nowTick) > this.#options.diskStallTicks) {
      this.#leaveToBest(replication);
      this.#becomeFollower(this.#term, null, 'disk-stalled');
      return;
    }
    this.#electionTicks += 1;
    if (this.#electionTicks >= this.#options.electionTicks) {
      this.#electionTicks = 0;
      if (this.#options.checkQuorum && !this.#hearsQuorum(replication)) {
        this.#becomeFollower(this.#term, null, 'quorum-lost');
        return;
      }
    }
    if (this.#transferee !== null) {
      this.#transferTicks += 1;
      if (this.#transferTicks >= this.#options.electionTicks) this.#endTransfer('timed-out');
    }
    this.#heartbeatTicks += 1;
    if (this.#heartbeatTicks >= this.#options.heartbeatTicks) this.#beginRound();
    replication.tick();
  }

  #hearsQuorum(replication: Replication): boolean {
    const heard = new Map<NodeId, boolean>([[this.id, true]]);
    for (const member of replication.members) {
      heard.set(member.id, member.isActive);
      member.isActive = false;
    }
    return this.#rules.votes(this.membership, heard) === 'won';
  }

  /** A leader that cannot write asks the voter that holds most to take over at once. */
  #leaveToBest(replication: Replication): void {
    let best = null;
    for (const member of replication.members) {
      if (!this.membership.voters.includes(member.id)) continue;
      if (member.match >= this.#commit && member.match > (best?.match ?? 0)) best = member;
    }
    if (best !== null) this.#send(best.id, { type: 'timeout-now', term: this.#term });
  }

  #resetElection(): void {
    this.#electionTicks = 0;
    const { electionTicks } = this.#options;
    this.#electionTimeout = electionTicks + Math.floor(this.#random() * electionTicks);
  }

  // -- elections -------------------------------------------------------------------------------------------------

  #isPromotable(): boolean {
    return (
      this.#mayLead() &&
      !this.#writes.isInstalling &&
      this.#writes.oldestAgeTicks(this.#nowTick) <= this.#options.diskStallTicks
    );
  }

  /** A voter, or one that is being removed: until that is committed the others may need its log (thesis 4.2.2). */
  #mayLead(): boolean {
    const { index, membership } = this.#configs.latest;
    if (isVoter(membership, this.id)) return true;
    return index > this.#commit && isVoter(this.#configs.at(index - 1).membership, this.id);
  }

  #campaign(kind: 'pre-vote' | 'vote' | 'forced'): void {
    this.#votes = this.#rules.freshVotes(this.#votes);
    this.#setLeader(null);
    this.#resetElection();
    const isPreVote = kind === 'pre-vote';
    this.#role = isPreVote ? 'pre-candidate' : 'candidate';
    if (!isPreVote) this.#setHardState(this.#term + 1, this.id);
    this.#voteRequest = {
      type: isPreVote ? 'pre-vote' : 'vote',
      term: isPreVote ? this.#term + 1 : this.#term,
      lastIndex: this.#log.lastIndex,
      lastTerm: this.#log.lastTerm,
      force: kind === 'forced',
    };
    this.#askVoters();
    // A candidate's own vote counts once it is durable: see persisted().
    if (isPreVote) this.#count(this.id, true);
  }

  /** Those who have not answered. Again with every heartbeat: one lost message would cost a whole election timeout. */
  #askVoters(): void {
    const request = this.#voteRequest;
    assert(request !== null, 'a candidate has asked');
    for (const id of membersOf(this.membership)) {
      const isAsked = id !== this.id && isVoter(this.membership, id) && !this.#votes.has(id);
      if (isAsked) this.#send(id, request);
    }
  }

  #count(voter: NodeId, granted: boolean): void {
    if (!this.#votes.has(voter)) this.#votes.set(voter, granted);
    const outcome = this.#rules.votes(this.membership, this.#votes);
    if (outcome === 'pending') return;
    if (outcome === 'lost') this.#becomeFollower(this.#term, null);
    else if (this.#role === 'pre-candidate') this.#campaign('vote');
    else this.#becomeLeader();
  }

  #onVoteRequest(from: NodeId, request: VoteRequest): void {
    const ours = { index: this.#log.lastIndex, term: this.#log.lastTerm };
    const isUpToDate = this.#rules.isUpToDate({ index: request.lastIndex, term: request.lastTerm }, ours);
    if (request.type === 'pre-vote') {
      const granted = isUpToDate && request.term > this.#term;
      const term = granted ? request.term : this.#term;
      this.#send(from, { type: 'pre-vote-response', term, granted });
      return;
    }
    const mayVote = this.#rules.mayVote(this.#vote, from) && (this.#leader === null || this.#vote === from);
    const granted = isUpToDate && mayVote && this.#role === 'follower';
    if (granted) {
      this.#resetElection();
      this.#setHardState(this.#term, from);
    }
    const rests = granted ? this.#rules.voteRestsOn() : 'term';
    this.#send(from, { type: 'vote-response', term: this.#term, granted }, rests);
  }

  #onVoteResponse(from: NodeId, response: VoteResponse): void {
    const awaited = response.type === 'vote-response' ? 'candidate' : 'pre-candidate';
    if (this.#role === awaited) this.#count(from, response.granted);
  }

  #becomeFollower(term: number, leader: NodeId | null, reason: StepDownReason = 'higher-term'): void {
    if (this.#role === 'leader') this.#endLeadership(reason);
    if (term > this.#term || (leader !== null && leader !== this.#leader)) this.#resetElection();
    if (term > this.#term) this.#setHardState(term, null);
    this.#role = 'follower';
    this.#setLeader(leader);
  }

  #endLeadership(reason: StepDownReason): void {
    this.#stepDownReason = reason;
    this.#endTransfer('ended');
    this.#replication = null;
    this.#uncommittedBytes = 0;
    const local = this.#reads.end().filter(({ from }) => from === null);
    this.#failReads(
      local.flatMap(({ contexts }) => contexts),
      'KV_RAFT_LEADER_LOST',
    );
    this.#resetElection();
  }

  #becomeLeader(): void {
    assert(this.#mayLead(), 'only a voter leads');
    this.#role = 'leader';
    this.#setLeader(this.id);
    this.#electionTicks = 0;
    this.#heartbeatTicks = 0;
    this.#isLeaseBroken = false;
    const view: LeaderView = {
      log: this.#log,
      term: () => this.#term,
      commitIndex: () => this.#commit,
      snapshot: () => this.#snapshot,
      nowTick: () => this.#nowTick,
      send: (to, message) => this.#send(to, message),
    };
    this.#replication = new Replication(view, this.#options, this.#rules, membersOf(this.membership));
    this.#termStart = this.#log.lastIndex + 1;
    this.#append([{ index: this.#termStart, term: this.#term, kind: 'noop', data: EMPTY }]);
    this.#uncommittedBytes = this.#log.bytesBehind(this.#commit);
    this.#replication.broadcast();
  }

  #setHardState(term: number, vote: NodeId | null): void {
    assert(term >= this.#term, 'terms never fall');
    if (term === this.#term && vote === this.#vote) return;
    this.#term = term;
    this.#vote = vote;
    this.#isHardStateUnsaved = true;
  }

  #setLeader(leader: NodeId | null): void {
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#failReads(this.#forwarding.end(), 'KV_RAFT_LEADER_LOST');
  }

  // -- messages that belong to a term ----------------------------------------------------------------------------

  #onTermMessage(
    from: NodeId,
    message: Exclude<RaftMessage, { type: 'propose' | 'propose-response' | 'read' | 'read-response' }>,
  ): void {
    if (message.term > this.#term && !this.#meetsHigherTerm(from, message)) return;
    if (message.term < this.#term) {
      this.#answerLowerTerm(from, message);
      return;
    }
    switch (message.type) {
      case 'vote':
      case 'pre-vote':
        this.#onVoteRequest(from, message);
        return;
      case 'vote-response':
      case 'pre-vote-response':
        this.#onVoteResponse(from, message);
        return;
      case 'append':
        this.#hearLeader(from);
        this.#onAppend(from, message);
        return;
      case 'heartbeat':
        this.#hearLeader(from);
        this.#onHeartbeat(from, message);
        return;
      case 'snapshot':
        this.#hearLeader(from);
        this.#onChunk(from, message);
        return;
      case 'timeout-now':
        if (this.#role === 'follower' && this.#isPromotable()) this.#campaign('forced');
        return;
      case 'append-response':
        this.#onAppendResponse(from, message);
        return;
      case 'heartbeat-response':
        this.#onHeartbeatResponse(from, message.round);
        return;
      case 'snapshot-response': {
        const member = this.#replication?.of(from);
        if (member !== undefined) this.#replication?.snapshotAnswered(member, message);
        return;
      }
      default:
        message satisfies never;
    }
  }

  /** False if the message ends here: it must not disturb a live leader, or only asks. */
  #meetsHigherTerm(from: NodeId, message: { type: RaftMessage['type']; term: number }): boolean {
    switch (message.type) {
      case 'vote':
      case 'pre-vote': {
        const request = message as VoteRequest; // by its type
        if (!request.force && this.#hasLiveLeader()) return false;
        if (request.type === 'pre-vote') {
          this.#onVoteRequest(from, request);
          return false;
        }
        this.#becomeFollower(message.term, null);
        return true;
      }
      case 'pre-vote-response': {
        const response = message as VoteResponse; // by its type
        if (response.granted) {
          if (response.term === this.#term + 1) this.#onVoteResponse(from, response);
          return false;
        }
        this.#becomeFollower(message.term, null);
        return true;
      }
      case 'append':
      case 'heartbeat':
      case 'snapshot':
        this.#becomeFollower(message.term, from);
        return true;
      default:
        this.#becomeFollower(message.term, null);
        return true;
    }
  }

  /** Who holds leases must not be replaced by voters that just restarted and forgot it. */
  #hasLiveLeader(): boolean {
    const { electionTicks, leaseReads } = this.#options;
    if (this.#role === 'leader') return true;
    if (leaseReads && this.#nowTick < electionTicks) return true;
    return this.#leader !== null && this.#electionTicks < electionTicks;
  }

  /** A leader of an earlier term has to learn that it is none; a candidate, that it is behind. */
  #answerLowerTerm(from: NodeId, message: RaftMessage): void {
    switch (message.type) {
      case 'append':
      case 'heartbeat':
      case 'snapshot':
        this.#refuse(from, 0, 0, 0);
        return;
      case 'vote':
        this.#send(from, { type: 'vote-response', term: this.#term, granted: false });
        return;
      case 'pre-vote':
        this.#send(from, { type: 'pre-vote-response', term: this.#term, granted: false });
        return;
      default:
    }
  }

  #hearLeader(from: NodeId): void {
    assert(this.#role !== 'leader', 'a term has one leader');
    this.#becomeFollower(this.#term, from);
    this.#electionTicks = 0;
  }

  // -- the log of a follower -------------------------------------------------------------------------------------

  #onAppend(from: NodeId, request: AppendRequest): void {
    if (this.#writes.isInstalling) return; // the snapshot takes the log's place; it is sent again afterwards
    const { prevIndex, prevTerm, entries, commit } = this.#behindCommit(request);
    if (!this.#log.matches(prevIndex, prevTerm)) {
      const conflictTerm = this.#log.termAt(prevIndex) ?? 0;
      const conflictIndex =
        conflictTerm === 0
          ? this.#log.lastIndex + 1
          : this.#log.lastIndexUpToTerm(conflictTerm - 1, prevIndex) + 1;
      this.#refuse(from, prevIndex, conflictTerm, Math.max(conflictIndex, this.#commit + 1));
      return;
    }
    const lastChecked = prevIndex + entries.length;
    const isNew = (entry: Entry): boolean => !this.#log.matches(entry.index, entry.term);
    const firstNew = entries.findIndex(isNew);
    if (firstNew !== -1) {
      const fresh = entries.slice(firstNew);
      if (fresh[0]!.index <= this.#log.lastIndex) this.#truncateFrom(fresh[0]!.index); // found above
      this.#append(fresh);
    } else if (!this.#rules.keepsLongerLog() && lastChecked < this.#log.lastIndex) {
      this.#truncateFrom(lastChecked + 1);
    }
    this.#followCommit(this.#rules.followerCommit(commit, lastChecked));
    this.#acknowledge(from, lastChecked, this.#rules.ackRestsOn(entries.length));
  }

  /** The same request without what is committed here: that agrees with every leader's. */
  #behindCommit(request: AppendRequest): Omit<AppendRequest, 'type' | 'term'> {
    if (request.prevIndex >= this.#commit) return request;
    const prevTerm = this.#log.termAt(this.#commit);
    assert(prevTerm !== undefined, 'the log reaches from its offset past what is committed');
    const entries = request.entries.filter((entry) => entry.index > this.#commit);
    return { prevIndex: this.#commit, prevTerm, entries, commit: request.commit };
  }

  #truncateFrom(index: number): void {
    assert(index > this.#commit, 'committed entries are never replaced');
    this.#log.truncateFrom(index);
    if (this.#rules.truncationRevokesWrites()) this.#writes.truncated(index);
    this.#unsavedFrom = Math.min(this.#unsavedFrom, index);
    const before = this.#configs.latest;
    this.#configs.truncateFrom(index);
    if (before !== this.#configs.latest) this.#membershipIs(this.#configs.latest);
  }

  #append(entries: readonly Entry[]): void {
    this.#log.append(entries);
    const before = this.#configs.latest;
    this.#configs.append(entries);
    if (before !== this.#configs.latest) this.#membershipIs(this.#configs.latest);
  }

  #onHeartbeat(from: NodeId, heartbeat: Heartbeat): void {
    if (!this.#writes.isInstalling) {
      if (heartbeat.commit > this.#log.lastIndex) {
        throw new RaftError(
          'KV_RAFT_LOG_LOST',
          `entry ${heartbeat.commit} is committed and was acknowledged by this member, whose log now ends at ` +
            `${this.#log.lastIndex}: its storage lost data; remove it and let it join under a new id`,
        );
      }
      this.#followCommit(heartbeat.commit);
    }
    this.#send(from, { type: 'heartbeat-response', term: this.#term, round: heartbeat.round });
  }

  #acknowledge(to: NodeId, matchIndex: number, rests: 'log' | 'term'): void {
    const fixed = { success: true, conflictTerm: 0, conflictIndex: 0 };
    this.#send(to, { type: 'append-response', term: this.#term, matchIndex, ...fixed }, rests);
  }

  #refuse(to: NodeId, prevIndex: number, conflictTerm: number, conflictIndex: number): void {
    const fixed = { type: 'append-response', term: this.#term, success: false } as const;
    this.#send(to, { ...fixed, matchIndex: prevIndex, conflictTerm, conflictIndex });
  }

  #followCommit(index: number): void {
    if (index > this.#commit) this.#commitTo(index);
  }

  // -- the log of a leader ---------------------------------------------------------------------------------------

  #refusal(data: readonly Uint8Array[]): RaftErrorCode | null {
    if (this.#hasFailed) return 'KV_RAFT_STORAGE_FAILED';
    if (this.#role !== 'leader') return this.#leader === null ? 'KV_RAFT_NO_LEADER' : 'KV_RAFT_NOT_LEADER';
    if (this.#transferee !== null) return 'KV_RAFT_TRANSFERRING';
    let bytes = 0;
    for (const each of data) {
      if (each.length > this.#options.entryBytesMax) return 'KV_RAFT_ENTRY_TOO_LARGE';
      bytes += each.length;
    }
    const isFull = this.#uncommittedBytes + bytes > this.#options.uncommittedBytesMax;
    return this.#uncommittedBytes > 0 && isFull ? 'KV_RAFT_PROPOSALS_FULL' : null;
  }

  #take(data: readonly Uint8Array[]): Extract<Effect, { kind: 'proposed' }> {
    const index = this.#log.lastIndex + 1;
    this.#lead(data.map((bytes) => ({ kind: 'normal' as const, data: bytes })));
    return { kind: 'proposed', index, term: this.#term, count: data.length };
  }

  #lead(contents: readonly { readonly kind: EntryKind; readonly data: Uint8Array }[]): void {
    const first = this.#log.lastIndex + 1;
    const entries = contents.map(({ kind, data }, at) => ({
      index: first + at,
      term: this.#term,
      kind,
      data,
    }));
    for (const entry of entries) this.#uncommittedBytes += entryBytes(entry);
    this.#append(entries);
    this.#leading().broadcast();
  }

  #appendConfig(membership: Membership): void {
    const replication = this.#leading();
    replication.setMembers([...new Set([...membersOf(this.membership), ...membersOf(membership)])]);
    this.#lead([{ kind: 'config', data: encodeMembership(membership) }]);
  }

  #onAppendResponse(from: NodeId, response: AppendResponse): void {
    const replication = this.#replication;
    const member = replication?.of(from);
    if (replication === null || member === undefined) return;
    if (response.success && response.matchIndex > this.#log.lastIndex) {
      throw new RaftError('KV_RAFT_MESSAGE_INVALID', `member ${from} acknowledges what was never sent`);
    }
    if (replication.appendAnswered(member, response)) this.#advanceCommit();
    this.#proceedTransfer();
  }

  #onHeartbeatResponse(from: NodeId, round: number): void {
    const member = this.#replication?.of(from);
    if (member === undefined) return;
    const confirmed = this.#rules.confirmedRound(round, this.#reads.latest);
    member.round = Math.max(member.round, Math.min(confirmed, this.#reads.latest));
    this.#replication?.heartbeatAnswered(member);
    this.#confirmReads();
  }

  #advanceCommit(): void {
    const replication = this.#replication;
    if (replication === null) return;
    const own = this.#rules.ownMatch(this.#writes.durableIndex, this.#log.lastIndex);
    const index = this.#rules.quorum(this.membership, (id) =>
      id === this.id ? own : (replication.of(id)?.match ?? 0),
    );
    if (index <= this.#commit || !this.#rules.mayCommit(this.#log.termAt(index) ?? 0, this.#term)) return;
    this.#commitTo(index);
    replication.broadcastCommit();
    this.#afterLeaderCommit(replication);
  }

  #commitTo(index: number): void {
    assert(index <= this.#log.lastIndex, 'only what is there is committed');
    if (this.#role === 'leader') {
      for (let at = this.#commit + 1; at <= index; at += 1) {
        this.#uncommittedBytes -= entryBytes(this.#log.entryAt(at)!); // up to the last index
      }
    }
    const { latest } = this.#configs;
    const isConfigNews = latest.index > this.#commit && latest.index <= index;
    this.#commit = index;
    if (isConfigNews) this.#effects.push({ kind: 'membership', ...latest, committed: true });
  }

  #afterLeaderCommit(replication: Replication): void {
    const { index, membership } = this.#configs.latest;
    if (index <= this.#commit) {
      replication.setMembers(membersOf(membership)); // those who left were told above
      if (!isVoter(membership, this.id)) {
        this.#becomeFollower(this.#term, null, 'removed');
        return;
      }
    }
    const inTerm = this.#commit >= this.#termStart;
    if (inTerm && this.#rules.mayLeaveJoint(membership, index <= this.#commit)) {
      this.#appendConfig(left(membership));
    }
    this.#serveReads();
  }

  #forward(data: readonly Uint8Array[]): Effect[] {
    const refusal = this.#refusal(data);
    if (refusal !== 'KV_RAFT_NOT_LEADER' || !this.#options.forwardProposals || this.#leader === null) {
      throw new RaftError(refusal ?? 'KV_RAFT_NOT_LEADER', `the leader is ${this.#leader ?? 'not known'}`);
    }
    const id = this.#nextForwardId;
    this.#nextForwardId += 1;
    this.#effects.push({ kind: 'forwarded', to: this.#leader, id });
    this.#send(this.#leader, { type: 'propose', id, data });
    return this.#finish();
  }

  #onPropose(from: NodeId, request: ProposeRequest): void {
    const isRefused = request.data.length === 0 || this.#refusal(request.data) !== null;
    const { index, term } = isRefused ? { index: 0, term: 0 } : this.#take(request.data);
    this.#send(from, { type: 'propose-response', id: request.id, index, term });
  }

  // -- leadership transfer ---------------------------------------------------------------------------------------

  #proceedTransfer(): void {
    if (this.#transferee === null) return;
    const member = this.#replication?.of(this.#transferee);
    if (member === undefined || member.match < this.#log.lastIndex) return;
    this.#send(this.#transferee, { type: 'timeout-now', term: this.#term });
  }

  #endTransfer(outcome: 'ended' | 'timed-out' | 'replaced'): void {
    if (this.#transferee === null) return;
    this.#effects.push({ kind: 'transfer', to: this.#transferee, outcome });
    this.#transferee = null;
  }

  // -- reads -----------------------------------------------------------------------------------------------------

  #beginRound(): void {
    this.#heartbeatTicks = 0;
    const mayRead = this.#rules.mayRead(this.#commit >= this.#termStart);
    this.#leading().heartbeat(this.#reads.begin(this.#nowTick, this.#commit, mayRead));
    this.#confirmReads();
  }

  #serveReads(): void {
    if (this.#role !== 'leader' || !this.#reads.hasWaiting) return;
    if (!this.#rules.mayRead(this.#commit >= this.#termStart)) return;
    if (this.#hasLease()) this.#answerReads(this.#reads.takeWaiting(), this.#commit);
    else if (!this.#reads.isBusy) this.#beginRound();
  }

  #hasLease(): boolean {
    const { leaseReads, electionTicks, leaseDriftTicks } = this.#options;
    if (!leaseReads || (this.#isLeaseBroken && !this.#rules.leaseSurvivesTransfer())) return false;
    return this.#nowTick < this.#reads.confirmedTick + electionTicks - leaseDriftTicks;
  }

  #confirmReads(): void {
    const replication = this.#leading();
    const round = this.#rules.quorum(this.membership, (id) =>
      id === this.id ? this.#reads.latest : (replication.of(id)?.round ?? 0),
    );
    for (const { requesters, index } of this.#reads.confirm(round)) this.#answerReads(requesters, index);
    this.#serveReads();
  }

  #answerReads(requesters: readonly ReadRequester[], index: number): void {
    const local = requesters.filter(({ from }) => from === null).flatMap(({ contexts }) => contexts);
    this.#readsAreReady(local, index);
    for (const { from, id } of requesters) {
      if (from !== null) this.#send(from, { type: 'read-response', id, index });
    }
  }

  #onRead(from: NodeId, id: number): void {
    if (this.#role !== 'leader' || this.#reads.count >= this.#options.readsMax) return;
    this.#reads.add({ from, id, contexts: [] });
    this.#serveReads();
  }

  #askForReads(): void {
    if (this.#leader === null || this.#role === 'leader') return;
    const id =
      this.#forwarding.ask(this.#nowTick) ??
      this.#forwarding.askAgain(this.#nowTick, READ_PATIENCE_HEARTBEATS * this.#options.heartbeatTicks);
    if (id !== null) this.#send(this.#leader, { type: 'read', id });
  }

  #readsAreReady(contexts: readonly unknown[], index: number): void {
    if (contexts.length > 0) this.#readyReads.push({ contexts, index });
  }

  #failReads(contexts: readonly unknown[], code: RaftErrorCode): void {
    if (contexts.length > 0) this.#effects.push({ kind: 'reads-failed', contexts, code });
  }

  // -- snapshots -------------------------------------------------------------------------------------------------

  #onChunk(from: NodeId, chunk: SnapshotChunk): void {
    const { snapshot, offset } = chunk;
    if (this.#writes.isInstalling) {
      // All of it is here; the answer that it is installed follows.
      this.#answerChunk(from, snapshot.index, snapshot.byteCount);
      return;
    }
    if (!this.#rules.isSnapshotNews(snapshot.index, this.#commit)) {
      this.#acknowledge(from, this.#commit, 'log');
      return;
    }
    if (this.#log.matches(snapshot.index, snapshot.term)) {
      this.#receiver = null;
      this.#followCommit(snapshot.index);
      this.#acknowledge(from, snapshot.index, 'log');
      return;
    }
    if (this.#receiver === null || !this.#receiver.isOf(from, snapshot)) {
      this.#receiver = new SnapshotReceiver(from, snapshot);
    }
    const receiver = this.#receiver;
    if (!receiver.wants(offset)) {
      if (!receiver.isStoring) this.#answerChunk(from, snapshot.index, receiver.nextOffset);
      return;
    }
    const token = this.#writes.nextToken();
    this.#chunkTokens.set(token, receiver);
    receiver.taken(token, chunk.byteCount);
    this.#effects.push({ kind: 'store-chunk', token, snapshot, offset, data: chunk.data });
  }

  #chunkStored(receiver: SnapshotReceiver): void {
    const { snapshot, from } = receiver;
    this.#answerChunk(from, snapshot.index, receiver.nextOffset);
    if (!receiver.isComplete || this.#writes.isInstalling) return;
    if (!this.#rules.isSnapshotNews(snapshot.index, this.#commit)) {
      this.#receiver = null; // the log came first
      return;
    }
    const write = { lastIndex: 0, install: snapshot, issuedAtTick: this.#nowTick };
    const token = this.#writes.issue(write, false);
    if (this.#role !== 'follower') this.#becomeFollower(this.#term, this.#leader);
    this.#effects.push({ kind: 'install', token, snapshot });
  }

  #answerChunk(to: NodeId, index: number, nextOffset: number): void {
    this.#send(to, { type: 'snapshot-response', term: this.#term, index, nextOffset });
  }

  #installed(snapshot: SnapshotMeta): void {
    const { index, term, membership } = snapshot;
    this.#log.reset(index, term);
    this.#writes.truncated(index + 1);
    this.#writes.durableIndex = index;
    this.#unsavedFrom = index + 1;
    this.#snapshot = snapshot;
    this.#snapshotTick = this.#nowTick;
    this.#commit = index;
    this.#handedOut = index;
    this.#applied = index;
    this.#applying = [];
    this.#applyingBytes = 0;
    this.#configs = new ConfigHistory({ index, membership });
    this.#effects.push({ kind: 'membership', membership, index, committed: true });
    const to = this.#leader ?? this.#receiver?.from;
    this.#receiver = null;
    if (to !== undefined) this.#acknowledge(to, index, 'log');
  }

  #wantsSnapshot(): boolean {
    if (this.#isTakingSnapshot || this.#applied <= this.#snapshot.index || this.#hasFailed) return false;
    if (this.#nowTick < this.#noSnapshotUntilTick) return false;
    if (this.#writes.isInstalling) return false;
    const { snapshotEntries, snapshotBytes, snapshotTicks } = this.#options;
    const isLong = snapshotEntries > 0 && this.#applied - this.#snapshot.index >= snapshotEntries;
    const isBig = snapshotBytes > 0 && this.#log.byteCount >= snapshotBytes;
    const isOld = snapshotTicks > 0 && this.#nowTick - this.#snapshotTick >= snapshotTicks;
    return isLong || isBig || isOld;
  }

  /** Forgets log behind the snapshot, but for what members that lag a little, or receive a snapshot, will ask for. */
  #compact(): void {
    const { trailingEntries, trailingBytesMax } = this.#options;
    const oldestInUse = this.#replication?.oldestTransferIndex() ?? Number.MAX_SAFE_INTEGER;
    const wanted = this.#snapshot.index - trailingEntries;
    this.#hasSpareLog = oldestInUse < wanted;
    let index = Math.min(wanted, oldestInUse);
    index = Math.max(index, this.#log.offset);
    let trailing = this.#log.bytesBehind(index) - this.#log.bytesBehind(this.#snapshot.index);
    while (trailing > trailingBytesMax) {
      index += 1;
      trailing -= entryBytes(this.#log.entryAt(index)!); // up to the snapshot's
    }
    if (index <= this.#log.offset) return;
    this.#log.compactTo(index);
    this.#effects.push({ kind: 'compact', index, term: this.#log.offsetTerm });
  }

  // -- the end of every input ------------------------------------------------------------------------------------

  #send(to: NodeId, message: RaftMessage, rests: Outgoing['rests'] = 'term'): void {
    this.#outgoing.push({ to, message, rests });
  }

  #membershipIs({ index, membership }: ConfigAt): void {
    this.#effects.push({ kind: 'membership', membership, index, committed: index <= this.#commit });
  }

  #leading(): Replication {
    if (this.#replication !== null) return this.#replication;
    throw new RaftError('KV_RAFT_NOT_LEADER', `the leader is ${this.#leader ?? 'not known'}`);
  }

  #finish(): Effect[] {
    const effects = this.#effects;
    this.#reportRole(effects);
    if (!this.#hasFailed) {
      this.#persist(effects);
      this.#sendAll(effects);
    } else {
      this.#outgoing = [];
    }
    if (this.#wantsSnapshot()) {
      this.#isTakingSnapshot = true;
      effects.push({ kind: 'take-snapshot', index: this.#applied });
    }
    this.#handOut(effects);
    this.#releaseReads(effects);
    this.#effects = [];
    this.#checkInvariants();
    return effects;
  }

  #reportRole(effects: Effect[]): void {
    const now = { role: this.#role, term: this.#term, leader: this.#leader };
    const before = this.#reported;
    const reason = this.#stepDownReason;
    this.#stepDownReason = null;
    const isSame = now.role === before.role && now.term === before.term && now.leader === before.leader;
    if (isSame) return;
    this.#reported = now;
    effects.push({ kind: 'role', ...now, reason });
  }

  #persist(effects: Effect[]): void {
    const lastIndex = this.#log.lastIndex;
    const hardStateChanged = this.#isHardStateUnsaved;
    if (!hardStateChanged && this.#unsavedFrom > lastIndex) return;
    const entries =
      this.#unsavedFrom > lastIndex ? [] : this.#log.slice(this.#unsavedFrom, lastIndex, Infinity);
    const commit = this.#rules.savedCommit(this.#commit, Math.min(this.#unsavedFrom - 1, lastIndex));
    this.#unsavedFrom = lastIndex + 1;
    this.#isHardStateUnsaved = false;
    const hardState: HardState = { term: this.#term, vote: this.#vote, commit };
    const write = {
      lastIndex: entries.length > 0 ? lastIndex : 0,
      install: null,
      issuedAtTick: this.#nowTick,
    };
    const token = this.#writes.issue(write, hardStateChanged);
    effects.push({ kind: 'persist', token, hardState, hardStateChanged, entries });
  }

  #sendAll(effects: Effect[]): void {
    for (const { to, message } of this.#writes.release()) effects.push({ kind: 'send', to, message });
    for (const { to, message, rests } of this.#outgoing) {
      const token = rests === 'nothing' ? 0 : this.#writes.awaited(rests);
      if (token === 0) effects.push({ kind: 'send', to, message });
      else this.#writes.hold(token, to, message);
    }
    this.#outgoing = [];
  }

  /** Committed and durable here: then a restart finds at least what the state machine saw. */
  #handOut(effects: Effect[]): void {
    if (this.#writes.isInstalling || this.#hasFailed) return;
    const { applyBytesMax, applyInflightBytesMax } = this.#options;
    const end = Math.min(this.#commit, this.#writes.durableIndex);
    while (this.#handedOut < end && this.#applyingBytes < applyInflightBytesMax) {
      const entries = this.#log.slice(this.#handedOut + 1, end, applyBytesMax);
      const byteCount = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
      this.#handedOut += entries.length;
      this.#applying.push({ lastIndex: this.#handedOut, byteCount });
      this.#applyingBytes += byteCount;
      effects.push({ kind: 'apply', entries });
    }
  }

  #releaseReads(effects: Effect[]): void {
    if (this.#readyReads.length === 0) return;
    const waiting = [];
    for (const reads of this.#readyReads) {
      if (reads.index <= this.#applied) effects.push({ kind: 'reads-ready', ...reads });
      else waiting.push(reads);
    }
    this.#readyReads = waiting;
  }

  #checkInvariants(): void {
    assert(this.#applied <= this.#handedOut, 'only what was handed out is applied');
    assert(this.#handedOut <= this.#commit, 'only what is committed is handed out');
    assert(this.#commit <= this.#log.lastIndex, 'only what is there is committed');
    assert(this.#log.offset <= this.#snapshot.index, 'what was compacted is in a snapshot');
    assert(this.#snapshot.index <= this.#applied, 'what is in a snapshot was applied');
    assert(this.#writes.durableIndex <= this.#log.lastIndex, 'only what is there is durable');
    assert(this.#log.lastTerm <= this.#term, 'the log is not ahead of its term');
    assert((this.#role === 'leader') === (this.#replication !== null), 'leaders replicate, nobody else');
    assert(this.#role !== 'leader' || this.#leader === this.id, 'a leader knows that it is one');
    assert(this.#transferee === null || this.#role === 'leader', 'only leaders hand leadership over');
    for (const member of this.#replication?.members ?? []) member.checkInvariants();
  }
}

function unknownToken(token: number): RaftError {
  return new RaftError('KV_RAFT_TOKEN_UNKNOWN', `no write has the token ${token}`);
}

function storageFailed(): RaftError {
  return new RaftError('KV_RAFT_STORAGE_FAILED', 'a write failed earlier; restart on healthy storage');
}
