// One member of the KV cluster: drives the Raft core with ticks, messages and completions, carries out its effects on
// disk, network and state machine, and serves what clients of this member ask. docs/raft.md has the rules it follows.
// Everything hot is a callback within the turn; requests of one turn share a batch, reads of one turn a round.
// Time, chance, disk and network come in from outside: a simulator runs this very file. kv-server.ts is the process.

import { createHash } from 'node:crypto';
import { KvError, type KvErrorCode } from '../errors.js';
import type { Backend, BackendStatus, Done, PublishListener, ReadDone } from '../backend.js';
import { closeAll } from '../close-all.js';
import { type EncodedItems, ItemWriter, originOf, stampTime, timeBatch } from '../machine/batch.js';
import { Machine, type MachineOptions } from '../machine/machine.js';
import type { ChangeSet } from '../machine/changes.js';
import { PROTOCOL_VERSION_MIN } from '../machine/protocol-version.js';
import { SETTING_DISK_ALARM, SETTING_PROTOCOL, SETTING_SCAN_SEED } from '../machine/settings.js';
import type { PeerFigures, PeerTransport } from '../peer/peer-transport.js';
import {
  type ConfigChange,
  type ConfigTransition,
  type Effect,
  type Entry,
  isVoter,
  membersOf,
  type Membership,
  type NodeId,
  RaftCore,
  RaftError,
  type RaftMessage,
  type RaftStatus,
  type RoleEffect,
} from '../raft/index.js';
import type { MemberMatch, TakenSnapshot } from '../service/served-node.js';
import type { WalStats } from '../wal/wal.js';
import type { WalFiles } from '../wal/wal-files.js';
import { type MemberAddress, MemberList } from './member-list.js';
import type { NodeClock } from './node-clock.js';
import { NODE_RULES, type NodeRules } from './node-rules.js';
import { type CompleteNodeOptions, completeNodeOptions, type KvNodeOptions } from './node-options.js';
import { NodeStorage, type RestoredNode } from './node-storage.js';
import { Proposals } from './proposals.js';
import { Reach } from './reach.js';
import { Reads } from './reads.js';

export interface NodeLogger {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface NodeParts {
  readonly files: WalFiles;
  readonly peers: PeerTransport;
  readonly clock: NodeClock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly logger: NodeLogger;
  /** The native commands, and what is remembered of changes. */
  readonly machine?: Omit<MachineOptions, 'onChanges' | 'onPublish' | 'random' | 'protocolVersion'>;
  /** For tests only. */
  readonly rules?: NodeRules;
}

/** What a member says of itself. */
export interface NodeStatus extends BackendStatus {
  readonly clusterId: number;
  /** The first entry that its log still has. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly snapshotIndex: number;
  readonly logBytes: number;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly members: readonly MemberAddress[];
  /** Of a leader: how far each member's log is known to be its own, and durable. */
  readonly matches: readonly MemberMatch[];
  /** What all members have agreed on; each member tells with `version` what it knows. */
  readonly protocolVersion: number;
  readonly isReady: boolean;
  readonly isRemoved: boolean;
}

export type NodeEvent =
  /** It cannot go on: the process ends, and says why. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The cluster goes on without this member. */
  | { readonly kind: 'removed' };

export interface NodeFigures {
  readonly status: RaftStatus;
  readonly wal: WalStats;
  readonly leaderChanges: number;
  readonly elections: number;
  readonly missedTicks: number;
  readonly snapshots: number;
  readonly snapshotFailures: number;
  readonly snapshotsInstalled: number;
  readonly snapshotBytes: number;
  readonly snapshotMs: number;
  readonly appliedEntries: number;
  readonly applyMs: number;
  readonly submitted: number;
  readonly pendingCount: number;
  readonly pendingBytes: number;
  readonly forwarded: number;
  readonly reproposed: number;
  readonly batches: number;
  readonly batchedRequests: number;
  readonly reads: number;
  readonly readRounds: number;
  readonly readsWaiting: number;
  readonly refusedMessages: number;
  readonly isDiskFull: boolean;
}

type ConfigDone = (error: KvError | null) => void;

interface ConfigWaiter {
  readonly index: number;
  readonly done: ConfigDone;
}

/** Batches with entries given to the disk before the next one collects. */
const PERSISTS_MAX = 2;
/** Batches on the way to or in the leader's log before the next one collects. */
const FORWARDS_MAX = 4;
/** For so long after answers it is looked, turn by turn, whether the next batch still grows. */
const SETTLE_MS = 1;
/** The state machine holds up the loop no longer than this at a time. */
const APPLY_SLICE_MS = 10;
/** No pause, however long, is made up for with more election timeouts than this. */
const CATCH_UP_ELECTIONS = 3;
/** Entries that are committed and not applied, up to which a member counts as ready. */
const READY_LAG = 1000;
/** A learner that lacks no more entries than this becomes a voter. */
const PROMOTION_LAG = 1000;
/** For so long after a batch was forwarded its member hears at once what is committed. */
const FORWARDING_TICKS = 2;
/**
 * For so many election timeouts a member that left is answered: it may lead, and has to learn that its removal is
 * committed. For as long too one that is not known here.
 */
const FAREWELL_ELECTIONS = 20;
/** What surrounds a request in an entry. */
const ENTRY_SLACK_BYTES = 65_536;

export class KvNode implements Backend {
  readonly #options: CompleteNodeOptions;
  readonly #parts: NodeParts;
  readonly #core: RaftCore;
  readonly #rules: NodeRules;
  readonly #storage: NodeStorage<Machine>;
  readonly #proposals: Proposals;
  readonly #reads: Reads;
  readonly #members: MemberList;
  #machine: Machine;

  #effects: Effect[] = [];
  #isPerforming = false;
  #machineWork: Extract<Effect, { kind: 'apply' | 'take-snapshot' }>[] = [];
  #isMachineBusy = false;
  #isPumpDue = false;
  #isHoldDue = false;
  #answeredMs = 0;
  /** How much was collected when it was looked at last. */
  #collectedBefore = 0;
  readonly #persisting = new Set<number>();
  #lastTickMs: number;
  #cancelTick: () => void = () => {};
  #state: 'running' | 'draining' | 'failed' | 'closed' = 'running';
  #closing: Promise<void> | null = null;
  #configWaiters: ConfigWaiter[] = [];
  #transferDone: ConfigDone[] = [];
  #stampedMs = 0;
  #timeEntryTick = 0;
  #announceTick = 0;
  #promoteTick = 0;
  #ticks = 0;
  /** Members that forward batches, and in which tick they last did. */
  readonly #forwarding = new Map<NodeId, number>();
  readonly #reachable: Reach;
  #committedMembers: readonly NodeId[] = [];
  /** Who left while this member looked on, and may still be on the list. */
  readonly #gone = new Set<NodeId>();
  #strikeTick = 0;
  #spaceTick = 0;
  #versionTick = 0;
  #wasMember = false;
  #isRemoved = false;

  #publishListener: PublishListener | null = null;
  readonly #changeListeners = new Set<(changes: ChangeSet) => void>();
  readonly #roleListeners = new Set<(role: RoleEffect) => void>();
  readonly #eventListeners = new Set<(event: NodeEvent) => void>();
  readonly #stateListeners = new Set<() => void>();
  readonly #counts = {
    leaderChanges: 0,
    elections: 0,
    missedTicks: 0,
    snapshots: 0,
    snapshotFailures: 0,
    snapshotsInstalled: 0,
    snapshotBytes: 0,
    snapshotMs: 0,
    appliedEntries: 0,
    applyMs: 0,
    batches: 0,
    batchedRequests: 0,
    refusedMessages: 0,
  };

  /**
   * Resolves once it takes part; it may have no leader yet.
   * @throws KvError KV_OPTION_INVALID, KV_LOCKED, KV_LOG_DAMAGED, KV_LOG_FOREIGN, KV_SNAPSHOT_DAMAGED, KV_DISK_FULL, KV_IO
   * @throws RaftError KV_RAFT_STATE_INVALID
   */
  static async open(parts: NodeParts, options: KvNodeOptions): Promise<KvNode> {
    const complete = completeNodeOptions(options);
    let node: KvNode | null = null;
    const machineOptions: MachineOptions = {
      ...parts.machine,
      random: parts.random,
      protocolVersion: complete.protocolVersion,
      onChanges: (changes) => node?.changed(changes),
      onPublish: (channel, message) => node?.published(channel, message) ?? 0,
    };
    const { storage, restored } = await NodeStorage.open<Machine>(
      parts.files,
      {
        clusterId: complete.clusterId,
        memberId: complete.id,
        firstMembers: complete.firstMembers,
        snapshotsKept: complete.snapshotsKept,
        wal: { nowMs: () => parts.clock.nowMs(), ...complete.wal },
        walRules: (parts.rules ?? NODE_RULES).wal,
        newState: () => new Machine(machineOptions),
        newLoader: () => Machine.loader(machineOptions),
      },
      {
        onPersisted: (token) => node?.persisted(token),
        onInstalled: (token, machine) => node?.installed(token, machine),
        onInstallFailed: (token, error) => node?.installFailed(token, error),
        onFailed: (error) => node?.storageFailed(error),
        onFull: (isFull) => node?.diskFull(isFull),
      },
    );
    try {
      node = new KvNode(parts, complete, storage, restored);
    } catch (error) {
      await storage.close();
      throw error;
    }
    node.#start();
    return node;
  }

  private constructor(
    parts: NodeParts,
    options: CompleteNodeOptions,
    storage: NodeStorage<Machine>,
    restored: RestoredNode<Machine>,
  ) {
    const { logger, clock } = parts;
    this.#parts = parts;
    this.#options = options;
    this.#storage = storage;
    this.#machine = restored.state;
    const onError = (error: unknown): void => logger.error({ err: error }, 'a callback of a request failed');
    this.#proposals = new Proposals(
      options.id,
      options.boot,
      {
        batchBytesMax: options.batchBytesMax,
        submissionBytesMax: options.requestBytesMax,
        pendingBytesMax: options.pendingBytesMax,
        pendingCountMax: options.pendingCountMax,
      },
      onError,
    );
    this.#reads = new Reads(options.pendingCountMax, onError);
    this.#rules = parts.rules ?? NODE_RULES;
    this.#core = new RaftCore(coreOptions(options), parts.random, restored.core, this.#rules.raft);
    this.#storage.keepInUse(() => this.#core.snapshotsInUse());
    this.#members = new MemberList(options.addresses);
    this.#reachable = new Reach(FAREWELL_ELECTIONS * Math.ceil(options.electionMs / options.heartbeatMs));
    this.#lastTickMs = clock.nowMs();
    for (const error of restored.refused)
      logger.error({ err: error }, 'a snapshot is damaged; an earlier one is used');
    if (restored.tornTail !== null) {
      logger.warn({ ...restored.tornTail }, 'the end of the log was torn by a crash and is cut off');
    }
  }

  // -- what others ask of it -------------------------------------------------------------------------------------

  get id(): NodeId {
    return this.#options.id;
  }

  get clusterId(): number {
    return this.#options.clusterId;
  }

  /** The state as applied so far. Another object after a snapshot was installed: do not keep it. */
  get machine(): Machine {
    return this.#machine;
  }

  get leader(): NodeId | null {
    return this.#core.leader;
  }

  /** To look at only: simulators check its promises. What it is told is told through this member. */
  get core(): RaftCore {
    return this.#core;
  }

  get isLeader(): boolean {
    return this.#core.role === 'leader';
  }

  /** Where the members are, by id. */
  get members(): MemberList {
    return this.#members;
  }

  submit(items: EncodedItems, done: Done, timeoutMs: number = this.#options.requestTimeoutMs): void {
    const nowMs = this.#parts.clock.nowMs();
    const leaderWaitMs = Math.min(timeoutMs, this.#options.leaderWaitMs);
    this.#proposals.submit(items, done, nowMs + timeoutMs, nowMs + leaderWaitMs);
    this.#schedulePump();
  }

  read(done: ReadDone, timeoutMs: number = this.#options.requestTimeoutMs): void {
    const nowMs = this.#parts.clock.nowMs();
    const leaderWaitMs = Math.min(timeoutMs, this.#options.leaderWaitMs);
    this.#reads.add(done, nowMs + timeoutMs, nowMs + leaderWaitMs);
    this.#schedulePump();
  }

  status(): NodeStatus {
    const status = this.#core.status();
    const { id, clusterId } = this.#options;
    return {
      id,
      clusterId,
      role: roleOf(status),
      term: status.term,
      leader: status.leader ?? 0,
      commitIndex: status.commitIndex,
      appliedIndex: status.appliedIndex,
      firstIndex: status.firstIndex,
      lastIndex: status.lastIndex,
      snapshotIndex: status.snapshotIndex,
      logBytes: status.logBytes,
      voters: status.membership.voters,
      learners: status.membership.learners,
      members: this.#members.list(membersOf(status.membership)),
      matches: matchesOf(status),
      protocolVersion: this.#machine.settings.protocolVersion,
      isReady: this.notReady === null,
      isRemoved: this.#isRemoved,
    };
  }

  figures(): NodeFigures {
    return {
      ...this.#counts,
      status: this.#core.status(),
      wal: this.#storage.stats(),
      submitted: this.#proposals.submitted,
      pendingCount: this.#proposals.pendingCount,
      pendingBytes: this.#proposals.pendingBytes,
      forwarded: this.#proposals.forwarded,
      reproposed: this.#proposals.reproposed,
      reads: this.#reads.served,
      readRounds: this.#reads.rounds,
      readsWaiting: this.#reads.count,
      isDiskFull: this.#storage.isFull,
    };
  }

  peerFigures(): readonly PeerFigures[] {
    return this.#parts.peers.figures();
  }

  /** Why it accepts no work; null: it does. */
  get notReady(): string | null {
    if (this.#isRemoved) return 'this member was removed';
    if (this.#state !== 'running') return `this member is ${this.#state}`;
    if (this.#storage.isFull) return 'its disk is full';
    const { leader, commitIndex, appliedIndex } = this.#core;
    if (leader === null) return 'no leader';
    const lag = commitIndex - appliedIndex;
    return lag <= READY_LAG ? null : `it has ${lag} entries to apply`;
  }

  /**
   * Hands leadership over; `to` null: to the voter that holds most. Ends when another leads.
   * @throws nothing: `done` gets KV_NOT_LEADER, KV_MEMBER_INVALID, KV_TIMEOUT
   */
  transfer(to: NodeId | null, done: ConfigDone): void {
    if (this.#core.role !== 'leader') {
      done(new KvError('KV_NOT_LEADER', 'only the leader can hand leadership over'));
      return;
    }
    if (to === this.#options.id) {
      done(null); // what was wanted is so already
      return;
    }
    const target = to ?? this.#bestFollower();
    if (target === null) {
      done(new KvError('KV_MEMBER_INVALID', 'no other voter is connected that could take the leadership'));
      return;
    }
    const refused = this.#try(() => this.#core.transferLeadership(target));
    if (refused !== null) done(kvErrorOf(refused));
    else if (this.#core.role === 'leader') this.#transferDone.push(done);
    else done(null);
  }

  /** Ends once the new configuration is committed. `done` gets KV_NOT_LEADER, KV_MEMBER_INVALID, KV_BUSY, KV_OUTCOME_UNKNOWN. */
  changeMembers(
    changes: readonly ConfigChange[],
    done: ConfigDone,
    transition: ConfigTransition = 'auto',
  ): void {
    this.#catchUp();
    let stands: Effect | undefined;
    const refused = this.#try(() => {
      const effects = this.#core.changeConfig(changes, transition);
      [stands] = effects;
      if (stands?.kind === 'proposed') this.#configWaiters.push({ index: stands.index, done });
      return effects;
    });
    if (refused !== null) done(kvErrorOf(refused));
  }

  /** Takes a member in, or tells where one is now. Only a leader can: `done` gets what `changeMembers` gives. */
  addMember(
    member: { id: NodeId; rpc: string; resp: string; version?: number },
    isLearner: boolean,
    done: ConfigDone,
  ): void {
    const { id, rpc, resp } = member;
    if (this.#core.role !== 'leader') {
      done(new KvError('KV_NOT_LEADER', `the leader is ${this.#core.leader ?? 'not known'}`));
      return;
    }
    if (this.#members.isRemoved(id) || this.#gone.has(id)) {
      const text = `member ${id} was removed; an id is never used again, so come back under a new one`;
      done(new KvError('KV_MEMBER_INVALID', text));
      return;
    }
    const agreed = this.#machine.settings.protocolVersion;
    if (member.version !== undefined && member.version < agreed) {
      const text = `member ${id} knows protocol version ${member.version}, the cluster has gone on to ${agreed}: upgrade it`;
      done(new KvError('KV_MEMBER_INVALID', text));
      return;
    }
    const known = membersOf(this.#core.membership).includes(id);
    const version = member.version ?? this.#members.get(id)?.version ?? PROTOCOL_VERSION_MIN;
    this.#setMember({ id, rpc, resp, isVoter: !isLearner, version }, (error) => {
      if (error !== null || known) done(error);
      else this.changeMembers([{ type: 'add-learner', id }], done);
    });
  }

  /** Where members are, for one that joins and does not have the replicated list yet. */
  learnAddresses(members: Iterable<{ readonly id: NodeId; readonly rpc: string }>): void {
    for (const { id, rpc } of members) this.#members.learn(id, rpc);
    this.#reach(membersOf(this.#core.membership));
  }

  /** Takes a member out for good. */
  removeMember(id: NodeId, done: ConfigDone): void {
    this.changeMembers([{ type: 'remove', id }], done);
  }

  /** Takes a snapshot now. @throws KvError, RaftError: why there is none */
  async snapshotNow(): Promise<TakenSnapshot> {
    // Not within an answer, where the state is some entries ahead of what the core knows to be applied.
    await new Promise<void>((resolve) => this.#parts.clock.defer(resolve));
    const taken = await this.#takeSnapshot();
    if (taken instanceof Error) throw taken;
    return taken;
  }

  onChanges(listener: (changes: ChangeSet) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onPublish(listener: PublishListener): () => void {
    this.#publishListener = listener;
    return () => {
      if (this.#publishListener === listener) this.#publishListener = null;
    };
  }

  onRole(listener: (role: RoleEffect) => void): () => void {
    this.#roleListeners.add(listener);
    return () => this.#roleListeners.delete(listener);
  }

  onEvent(listener: (event: NodeEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** The whole state was replaced by a snapshot: `machine` is another, and changes in between were not told. */
  onReplaced(listener: () => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Gives leadership away, if it has it and somebody else may take it. Resolves in any case, soon. */
  async resign(): Promise<void> {
    if (this.#state === 'running') this.#state = 'draining';
    if (this.#core.role !== 'leader' || this.#bestFollower() === null) return;
    await new Promise<void>((resolve) => this.transfer(null, () => resolve()));
  }

  /** Resolves when no client waits for anything here, at the latest after `timeoutMs`: true if so. */
  async settled(timeoutMs: number): Promise<boolean> {
    const { clock } = this.#parts;
    const endMs = clock.nowMs() + timeoutMs;
    while (this.#proposals.clientCount > 0 || this.#reads.count > 0) {
      if (clock.nowMs() >= endMs) return false;
      await new Promise<void>((resolve) => clock.after(10, resolve));
    }
    return true;
  }

  /** Ends what is under way (with KV_CLOSED, or KV_OUTCOME_UNKNOWN) and lets go of disk and network. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // -- what the disk says (for NodeStorage) ----------------------------------------------------------------------

  persisted(token: number): void {
    this.#persisting.delete(token);
    if (this.#isOver) return;
    this.#catchUp();
    this.#input(() => this.#core.persisted(token));
    if (this.#proposals.hasCollected) this.#schedulePump();
  }

  installed(token: number, machine: Machine): void {
    if (this.#isOver) return;
    const dropped = this.#machineWork;
    this.#machineWork = [];
    this.#machine = machine;
    this.#counts.snapshotsInstalled += 1;
    this.#parts.logger.info({ revision: machine.revision }, 'a snapshot of another member was installed');
    this.#input(() => this.#core.persisted(token));
    // The core waits for the snapshot that it asked for, and would ask for none until a restart.
    if (dropped.some(({ kind }) => kind === 'take-snapshot')) this.#input(() => this.#core.snapshotFailed());
    this.#proposals.displaced(this.#core.appliedIndex, 0);
    this.#membersMayHaveChanged();
    for (const listener of this.#stateListeners) listener();
    this.#schedulePump();
  }

  installFailed(token: number, error: KvError): void {
    if (this.#isOver) return;
    this.#parts.logger.error(
      { err: error },
      'a received snapshot could not be installed; it is asked for again',
    );
    this.#input(() => this.#core.installFailed(token));
  }

  storageFailed(error: KvError): void {
    if (this.#isOver) return;
    this.#carryOut(this.#core.storageFailed());
    this.#fail(error, 'KV_STORAGE_FAILED');
  }

  diskFull(isFull: boolean): void {
    const { logger } = this.#parts;
    if (isFull) logger.error({}, 'the disk is full: this member waits for space before it writes again');
    else logger.info({}, 'this member writes again');
  }

  /** For the machine. */
  changed(changes: ChangeSet): void {
    for (const listener of this.#changeListeners) listener(changes);
  }

  /** For the machine: how many here heard it. */
  published(channel: string, message: string): number {
    return this.#publishListener?.(channel, message) ?? 0;
  }

  // -- time ------------------------------------------------------------------------------------------------------

  #start(): void {
    const { peers, logger } = this.#parts;
    this.#members.read(this.#machine);
    this.#membershipIs(this.#core.membership, false);
    this.#committedMembers = membersOf(this.#core.membership);
    peers.start((from, messages, address) => this.#receive(from, messages, address));
    this.#scheduleTick();
    const { id, clusterId } = this.#options;
    const { term, lastIndex, commitIndex } = this.#core;
    const voters = this.#core.membership.voters.join(',');
    logger.info({ id, clusterId, term, lastIndex, commitIndex, voters }, 'the member takes part');
  }

  #scheduleTick(): void {
    const { clock } = this.#parts;
    const dueMs = this.#lastTickMs + this.#options.heartbeatMs;
    this.#cancelTick = clock.after(Math.max(0, dueMs - clock.nowMs()), () => {
      if (this.#isOver) return;
      this.#catchUp();
      this.#scheduleTick();
    });
  }

  /** Makes up for ticks that are due: after a pause of the process before anything else. */
  #catchUp(): void {
    const { heartbeatMs, electionMs } = this.#options;
    const nowMs = this.#parts.clock.nowMs();
    let due = Math.floor((nowMs - this.#lastTickMs) / heartbeatMs);
    if (due < 1 || this.#isOver) return;
    if (due > 1) this.#counts.missedTicks += due - 1;
    this.#lastTickMs += due * heartbeatMs;
    due = Math.min(due, CATCH_UP_ELECTIONS * Math.ceil(electionMs / heartbeatMs));
    for (let tick = 0; tick < due && !this.#isOver; tick += 1) {
      this.#ticks += 1;
      this.#input(() => this.#core.tick());
    }
    if (!this.#isOver) this.#sweep(nowMs);
  }

  #sweep(nowMs: number): void {
    const hasLeader = this.#core.leader !== null;
    this.#proposals.sweep(nowMs, hasLeader, this.#options.electionMs);
    this.#reads.sweep(nowMs, hasLeader);
    this.#watchSpace();
    if (this.#core.role === 'leader') {
      this.#bringTimeForward();
      this.#promoteLearners();
      this.#strikeOff();
      this.#raiseVersion();
    }
    this.#announce();
    if (this.#reachable.isOverdue(this.#ticks)) {
      this.#parts.peers.setAddresses(this.#reachable.at(this.#ticks));
    }
    if (this.#proposals.hasCollected || this.#reads.hasWaiting || this.#proposals.ready(nowMs) !== null) {
      this.#schedulePump();
    }
  }

  /** Something in the state ends at a time that has come: an entry without commands brings that time into the log. */
  #bringTimeForward(): void {
    const deadlineMs = this.#machine.nextDeadlineMs();
    if (deadlineMs === null || this.#state !== 'running') return;
    const nowMs = this.#stamp();
    if (deadlineMs > nowMs || this.#ticks < this.#timeEntryTick) return;
    if (this.#core.commitIndex > this.#core.appliedIndex) return; // what is to be applied may do it
    this.#timeEntryTick = this.#ticks + 1;
    const { id: origin, boot } = this.#options;
    this.#try(() => this.#core.propose([timeBatch({ origin, boot, sequence: 0 }, nowMs)]));
  }

  #stamp(): number {
    this.#stampedMs = Math.max(this.#stampedMs, Math.floor(this.#parts.clock.wallMs()), this.#machine.timeMs);
    return this.#stampedMs;
  }

  // -- requests --------------------------------------------------------------------------------------------------

  #schedulePump(): void {
    if (this.#isPumpDue || this.#isOver) return;
    this.#isPumpDue = true;
    this.#parts.clock.defer(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isOver) return;
    this.#catchUp();
    if (this.#core.leader === null || this.#isOver) return;
    if (this.#reads.hasWaiting) {
      const context = this.#reads.ask();
      const refused = this.#try(() => this.#core.readIndex(context));
      if (refused !== null) this.#reads.failed([context]);
    }
    const nowMs = this.#parts.clock.nowMs();
    while (this.#mayPropose) {
      let batch = this.#proposals.ready(nowMs);
      if (batch === null) {
        if (this.#isHeldBack(nowMs)) return;
        batch = this.#proposals.seal(nowMs);
        if (batch === null) return;
        this.#counts.batches += 1;
        this.#counts.batchedRequests += batch.waiters.length;
      }
      const isLeader = this.#core.role === 'leader';
      const bytes = this.#proposals.bytesOf(batch, isLeader ? this.#stamp() : 0);
      const proposed = batch;
      const refused = this.#try(() => {
        const effects = this.#core.propose([bytes]);
        const [first] = effects;
        if (first?.kind === 'proposed') this.#proposals.standsAt(proposed, first.index, first.term);
        else if (first?.kind === 'forwarded') this.#proposals.wasForwarded(proposed, first.id, nowMs);
        return effects;
      });
      if (refused !== null) {
        proposed.retryAtMs = nowMs + this.#options.heartbeatMs / 2;
        return;
      }
    }
  }

  /** Whether what was collected waits for more; a later turn looks again. */
  #isHeldBack(nowMs: number): boolean {
    const { collectedCount } = this.#proposals;
    if (collectedCount === 0) return false;
    const hasGrown = collectedCount > this.#collectedBefore;
    this.#collectedBefore = collectedCount;
    // Whoever was just answered asks again: as long as each turn brings more, the batch is not complete.
    if (hasGrown && !this.#proposals.isComplete && nowMs - this.#answeredMs < SETTLE_MS) {
      this.#schedulePump();
      return true;
    }
    const holdMs = this.#proposals.holdMs(nowMs);
    if (holdMs === 0) {
      this.#collectedBefore = 0;
      return false;
    }
    if (!this.#isHoldDue) {
      this.#isHoldDue = true;
      this.#parts.clock.after(holdMs, () => {
        this.#isHoldDue = false;
        this.#pump();
      });
    }
    return true;
  }

  get #mayPropose(): boolean {
    if (this.#core.leader === null || this.#isOver) return false;
    if (this.#core.role === 'leader') return this.#persisting.size < PERSISTS_MAX;
    return this.#proposals.underWay < FORWARDS_MAX;
  }

  // -- messages --------------------------------------------------------------------------------------------------

  #receive(from: NodeId, messages: readonly RaftMessage[], address: string): void {
    if (this.#isOver) return;
    this.#catchUp();
    this.#heardFrom(from, address);
    for (const message of messages) {
      if (this.#isOver) return;
      if (message.type === 'propose' && this.#core.role === 'leader') {
        this.#forwarding.set(from, this.#ticks);
        if (!this.#stampForwarded(message.data)) continue;
      }
      this.#input(() => this.#core.receive(from, message));
    }
  }

  /** An append without entries tells the commit index: soon enough with what follows, unless a client waits over there. */
  #mayWait(to: NodeId, message: RaftMessage): boolean {
    if (message.type !== 'append' || message.entries.length > 0) return false;
    return this.#ticks > (this.#forwarding.get(to) ?? -1) + FORWARDING_TICKS;
  }

  /** The time of an entry is its leader's. */
  #stampForwarded(data: readonly Uint8Array[]): boolean {
    const nowMs = this.#stamp();
    try {
      for (const bytes of data) stampTime(bytes, nowMs);
      return true;
    } catch (error) {
      this.#counts.refusedMessages += 1;
      this.#parts.logger.warn({ err: error }, 'a forwarded batch is no batch');
      return false;
    }
  }

  // -- effects ---------------------------------------------------------------------------------------------------

  /** An input of the core whose errors are the sender's, or the end of this member. */
  #input(input: () => Effect[]): void {
    const refused = this.#try(input);
    if (refused === null) return;
    if (refused.code === 'KV_RAFT_MESSAGE_INVALID') {
      this.#counts.refusedMessages += 1;
      this.#parts.logger.warn({ err: refused }, 'a message of another member is invalid');
      return;
    }
    this.#fail(refused, 'KV_STORAGE_FAILED');
  }

  /** Gives the error with which the core refused. Anything else it throws is a promise it broke. */
  #try(input: () => Effect[]): RaftError | null {
    try {
      this.#carryOut(input());
      return null;
    } catch (error) {
      if (error instanceof RaftError) return error;
      this.#fail(error instanceof Error ? error : new Error(String(error)), 'KV_STORAGE_FAILED');
      return null;
    }
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) this.#effects.push(effect);
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    let hasWrite = false;
    try {
      for (let at = 0; at < this.#effects.length; at += 1) {
        const effect = this.#effects[at]!;
        hasWrite ||= effect.kind === 'persist' && effect.entries.length > 0;
        this.#perform(effect);
      }
    } finally {
      this.#effects = [];
      this.#isPerforming = false;
    }
    // A write is on its way to the disk when this turn ends, and somebody waits for it; what is committed can come after.
    if (hasWrite && this.#machineWork.length > 0) this.#parts.clock.defer(() => this.#runMachine());
    else this.#runMachine();
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        if (effect.entries.length > 0) this.#persisting.add(effect.token);
        this.#storage.persist(effect.token, effect.hardState, effect.entries);
        return;
      case 'send':
        if (effect.message.type === 'snapshot') void this.#sendChunk(effect.to, effect.message);
        else this.#parts.peers.send(effect.to, effect.message, this.#mayWait(effect.to, effect.message));
        return;
      case 'apply':
      case 'take-snapshot':
        this.#machineWork.push(effect);
        return;
      case 'store-chunk':
        this.#storage.storeChunk(effect.token, effect.snapshot, effect.offset, effect.data);
        return;
      case 'install':
        this.#storage.install(effect.token, effect.snapshot);
        return;
      case 'compact':
        this.#storage.compact(effect.index).catch((error: unknown) => {
          if (!this.#isOver) this.#parts.logger.warn({ err: error }, 'old log could not be removed');
        });
        return;
      case 'role':
        this.#roleIs(effect);
        return;
      case 'membership':
        this.#membershipIs(effect.membership, effect.committed);
        if (effect.committed) this.#configCommitted(effect.index);
        return;
      case 'reads-ready':
        this.#reads.ready(effect.contexts);
        return;
      case 'reads-failed':
        this.#reads.failed(effect.contexts);
        return;
      case 'forward-answered':
        this.#proposals.forwardAnswered(
          effect.id,
          effect.index,
          effect.term,
          this.#parts.clock.nowMs() + this.#options.heartbeatMs / 2,
        );
        if (this.#proposals.hasCollected) this.#schedulePump();
        return;
      case 'transfer': {
        const error =
          effect.outcome === 'ended'
            ? null
            : new KvError('KV_TIMEOUT', `member ${effect.to} did not take over in time`);
        for (const done of this.#transferDone.splice(0)) done(error);
        return;
      }
      case 'proposed':
      case 'forwarded':
        return; // whoever proposed has looked at it
      default:
        effect satisfies never;
    }
  }

  /** The state machine's queue: entries and snapshots in order, in slices, so that nothing else waits for long. */
  #runMachine(): void {
    if (this.#isMachineBusy || this.#machineWork.length === 0) return;
    this.#isMachineBusy = true;
    const { clock } = this.#parts;
    const startMs = clock.nowMs();
    try {
      while (!this.#isOver) {
        const work = this.#machineWork.shift();
        if (work === undefined) break;
        if (work.kind === 'take-snapshot') void this.#takeSnapshot();
        else this.#apply(work.entries);
        if (this.#machineWork.length > 0 && clock.nowMs() - startMs > APPLY_SLICE_MS) {
          clock.defer(() => this.#runMachine());
          break;
        }
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)), 'KV_STORAGE_FAILED');
    } finally {
      this.#counts.applyMs += clock.nowMs() - startMs;
      this.#isMachineBusy = false;
    }
  }

  #apply(entries: readonly Entry[]): void {
    for (const { index, term, kind, data } of entries) {
      if (kind === 'normal') {
        this.#applyBatch(index, term, data);
      }
    }
    this.#counts.appliedEntries += entries.length;
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#proposals.displaced(last.index, last.term);
    this.#membersMayHaveChanged();
    this.#carryOut(this.#core.applied(last.index));
    // The answers leave first, and what their receivers send next may still come along.
    if (this.#proposals.hasCollected) this.#parts.clock.defer(() => this.#schedulePump());
  }

  #applyBatch(index: number, term: number, data: Uint8Array): void {
    try {
      const { origin, boot, sequence } = originOf(data);
      const answered = this.#rules.answered(this.#proposals, origin, boot, sequence, index);
      if (answered === null) {
        this.#machine.apply(index, term, data, false);
        return;
      }
      const replies = this.#machine.apply(index, term, data, true, this.#proposals.countsOf(answered));
      this.#answeredMs = this.#parts.clock.nowMs();
      this.#proposals.applied(answered, replies);
    } catch (error) {
      // Every member finds the same and changes nothing; everything else is the end of this one.
      if (!(error instanceof KvError && error.code === 'KV_BATCH_MALFORMED')) throw error;
      this.#parts.logger.error({ err: error, index }, 'an entry of the log is no batch; it is passed over');
    }
  }

  /** Or why there is none. */
  async #takeSnapshot(): Promise<TakenSnapshot | Error> {
    const { clock, logger } = this.#parts;
    const startMs = clock.nowMs();
    const index = this.#core.appliedIndex;
    let view;
    try {
      const meta = this.#core.describeSnapshot(index);
      view = this.#machine.snapshot();
      const { contentBytes } = await this.#storage.take(meta, view.chunks());
      const taken = { index: meta.index, term: meta.term, bytes: contentBytes };
      if (this.#isOver) return taken;
      this.#counts.snapshots += 1;
      this.#counts.snapshotBytes = contentBytes;
      this.#counts.snapshotMs = clock.nowMs() - startMs;
      this.#input(() => this.#core.snapshotted(index, contentBytes));
      return taken;
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      if (this.#isOver) return failure;
      this.#counts.snapshotFailures += 1;
      logger.error({ err: error, index }, 'a snapshot could not be taken');
      this.#carryOut(this.#core.snapshotFailed());
      return failure;
    } finally {
      view?.close();
    }
  }

  async #sendChunk(to: NodeId, message: Extract<RaftMessage, { type: 'snapshot' }>): Promise<void> {
    const { snapshot, offset, byteCount } = message;
    try {
      const data = await this.#storage.readChunk(snapshot, offset, byteCount);
      if (!this.#isOver) this.#parts.peers.send(to, { ...message, data });
    } catch (error) {
      if (!this.#isOver)
        this.#parts.logger.error({ err: error, to }, 'a snapshot cannot be read for another member');
    }
  }

  #roleIs(effect: RoleEffect): void {
    const { role, term, leader, reason } = effect;
    if (role === 'candidate') this.#counts.elections += 1;
    if (leader !== null) {
      this.#counts.leaderChanges += 1;
      this.#parts.logger.info({ term, leader, role }, `member ${leader} leads`);
    } else if (reason !== null) {
      this.#parts.logger.warn({ term, reason }, 'this member leads no more');
    }
    this.#proposals.leaderChanged();
    if (role !== 'leader') {
      for (const { done } of this.#configWaiters.splice(0)) {
        done(
          new KvError('KV_OUTCOME_UNKNOWN', 'leadership ended before the change of members was committed'),
        );
      }
    }
    for (const listener of this.#roleListeners) listener(effect);
    if (leader !== null) this.#schedulePump();
  }

  // -- members ---------------------------------------------------------------------------------------------------

  #membershipIs(membership: Membership, isCommitted: boolean): void {
    const all = membersOf(membership);
    this.#reach(all);
    if (isCommitted) {
      for (const id of this.#committedMembers) if (!all.includes(id)) this.#gone.add(id);
      this.#committedMembers = all;
    }
    if (all.includes(this.id)) {
      this.#wasMember = true;
    } else if (isCommitted && this.#wasMember && !this.#isRemoved) {
      this.#isRemoved = true;
      this.#parts.logger.warn({ id: this.id }, 'this member was removed from the cluster');
      for (const listener of this.#eventListeners) listener({ kind: 'removed' });
    }
  }

  #membersMayHaveChanged(): void {
    if (!this.#members.read(this.#machine)) return;
    this.#reach(membersOf(this.#core.membership));
  }

  #reach(ids: readonly NodeId[]): void {
    const listed = this.#members.addresses(ids, this.id);
    this.#parts.peers.setAddresses(this.#reachable.listIs(listed, this.#ticks));
  }

  /** Before what it says is looked at: the answer needs its address. */
  #heardFrom(from: NodeId, address: string): void {
    if (this.#members.isRemoved(from) || !this.#reachable.heard(from, address, this.#ticks)) return;
    this.#parts.peers.setAddresses(this.#reachable.at(this.#ticks));
  }

  /** A change that a leader made in its term is the one at its index, once that is committed while it leads. */
  #configCommitted(index: number): void {
    const ended = this.#configWaiters.filter((waiter) => waiter.index <= index);
    this.#configWaiters = this.#configWaiters.filter((waiter) => waiter.index > index);
    for (const { done } of ended) done(null);
  }

  /** Whoever left is struck off the replicated list, by the leader of the day. */
  #strikeOff(): void {
    for (const id of this.#gone) {
      if (this.#members.isRemoved(id)) {
        this.#gone.delete(id);
      } else if (this.#ticks >= this.#strikeTick) {
        this.#strikeTick = this.#ticks + Math.ceil(this.#options.electionMs / this.#options.heartbeatMs);
        const writer = new ItemWriter();
        this.#members.writeRemoval(writer, id);
        this.#submitOwn(writer.take(), () => {}); // a later tick looks whether it was done
      }
    }
  }

  /** Makes sure that the replicated list says where this member is. */
  #announce(): void {
    const { id, rpcAddress, respAddress, protocolVersion: version } = this.#options;
    if (
      rpcAddress === '' ||
      this.#state !== 'running' ||
      this.#core.leader === null ||
      this.#ticks < this.#announceTick
    )
      return;
    const { membership } = this.#core;
    if (!membersOf(membership).includes(id) || this.#core.commitIndex > this.#core.appliedIndex) return;
    const known = this.#members.get(id);
    if (
      known !== null &&
      known.rpc === rpcAddress &&
      known.resp === respAddress &&
      known.version === version &&
      this.#members.isListed(id)
    )
      return;
    this.#announceTick = this.#ticks + Math.ceil(this.#options.requestTimeoutMs / this.#options.heartbeatMs);
    const voter = known?.isVoter ?? isVoter(membership, id);
    this.#setMember({ id, rpc: rpcAddress, resp: respAddress, isVoter: voter, version }, (error) => {
      if (error !== null) this.#announceTick = this.#ticks;
    });
  }

  /** What is new is used once every member knows it, and never given up again. */
  #raiseVersion(): void {
    const { settings } = this.#machine;
    if (this.#ticks < this.#versionTick || this.#state !== 'running') return;
    const version = Math.min(
      this.#options.protocolVersion,
      this.#members.versionOf(membersOf(this.#core.membership)),
    );
    if (version <= settings.protocolVersion) return;
    this.#versionTick = this.#ticks + Math.ceil(this.#options.electionMs / this.#options.heartbeatMs);
    this.#parts.logger.info({ version }, 'all members know this protocol version: it is used from now on');
    const writer = new ItemWriter();
    writer.setting(SETTING_PROTOCOL, String(version));
    if (settings.scanKey === null)
      writer.setting(SETTING_SCAN_SEED, seedOf(this.#options.boot, this.#parts.random()));
    this.#submitOwn(writer.take(), () => {}); // a later tick looks whether it was done
  }

  #setMember(member: MemberAddress, done: (error: KvError | null) => void): void {
    const writer = new ItemWriter();
    this.#members.write(writer, member);
    this.#submitOwn(writer.take(), done);
  }

  #submitOwn(items: EncodedItems, done: (error: KvError | null) => void): void {
    const nowMs = this.#parts.clock.nowMs();
    const { requestTimeoutMs, leaderWaitMs } = this.#options;
    this.#proposals.submit(
      items,
      (error) => done(error),
      nowMs + requestTimeoutMs,
      nowMs + leaderWaitMs,
      true,
    );
    this.#schedulePump();
  }

  /**
   * A member that is short of space says so in the replicated settings: while one does, the machine of every member refuses
   * what would grow, so that there is room left for deleting.
   */
  #watchSpace(): void {
    const { isShort } = this.#storage;
    if (this.#ticks < this.#spaceTick) return;
    const name = `${SETTING_DISK_ALARM}${this.id}`;
    if (isShort) void this.#storage.retry();
    if (isShort === (this.#machine.settings.get(name) !== undefined) || this.#state !== 'running') return;
    if (this.#core.leader === null) return;
    this.#spaceTick = this.#ticks + Math.ceil(this.#options.electionMs / this.#options.heartbeatMs);
    const { logger } = this.#parts;
    if (isShort) logger.error({}, 'the disk is nearly full: the cluster takes reads and deletions only');
    else logger.info({}, 'there is space on the disk again');
    const writer = new ItemWriter();
    writer.setting(name, isShort ? 'full' : '');
    this.#submitOwn(writer.take(), () => {}); // a later tick looks whether it was done
  }

  /** Learners that were promised a vote get it once they hold what the others hold. */
  #promoteLearners(): void {
    const { learners } = this.#core.membership;
    if (learners.length === 0 || this.#ticks < this.#promoteTick || this.#state !== 'running') return;
    const { progress, commitIndex } = this.#core.status();
    for (const id of learners) {
      if (this.#members.get(id)?.isVoter !== true) continue;
      const member = progress.find((each) => each.id === id);
      if (member === undefined || member.state !== 'replicate' || member.match + PROMOTION_LAG < commitIndex)
        continue;
      this.#promoteTick = this.#ticks + 5;
      this.changeMembers([{ type: 'add-voter', id }], (error) => {
        const { logger } = this.#parts;
        if (error === null) logger.info({ id }, `member ${id} votes from now on`);
        else logger.warn({ err: error, id }, `member ${id} does not vote yet`);
      });
      return;
    }
  }

  #bestFollower(): NodeId | null {
    const { progress, membership } = this.#core.status();
    let best: { id: NodeId; match: number } | null = null;
    const connected = new Set(
      this.#parts.peers.figures().flatMap(({ id, isConnected }) => (isConnected ? [id] : [])),
    );
    for (const { id, match } of progress) {
      if (!membership.voters.includes(id) || !connected.has(id)) continue;
      if (best === null || match > best.match) best = { id, match };
    }
    return best?.id ?? null;
  }

  // -- the end ---------------------------------------------------------------------------------------------------

  get #isOver(): boolean {
    return this.#state === 'failed' || this.#state === 'closed';
  }

  #fail(error: Error, code: KvErrorCode): void {
    if (this.#isOver) return;
    this.#state = 'failed';
    this.#cancelTick();
    this.#parts.logger.error({ err: error }, 'this member cannot go on');
    this.#endRequests(code, `this member cannot go on: ${error.message}`);
    for (const listener of this.#eventListeners) listener({ kind: 'failed', error });
  }

  #endRequests(code: KvErrorCode, message: string): void {
    this.#proposals.close(code, message);
    this.#reads.close(new KvError(code, message));
    for (const { done } of this.#configWaiters.splice(0)) done(new KvError('KV_OUTCOME_UNKNOWN', message));
    for (const done of this.#transferDone.splice(0)) done(new KvError(code, message));
  }

  async #close(): Promise<void> {
    if (!this.#isOver) this.#state = 'closed';
    this.#cancelTick();
    this.#endRequests('KV_CLOSED', 'this member is stopping');
    await closeAll(
      () => this.#parts.peers.close(),
      () => this.#storage.close(),
    );
  }
}

function coreOptions(options: CompleteNodeOptions): ConstructorParameters<typeof RaftCore>[0] {
  const { id, heartbeatMs, electionMs, leaseReads, snapshotEntries, snapshotBytes, trailingEntries } =
    options;
  return {
    id,
    electionTicks: Math.ceil(electionMs / heartbeatMs),
    heartbeatTicks: 1,
    leaseReads,
    leaseDriftTicks: leaseReads ? Math.max(1, Math.ceil(electionMs / heartbeatMs / 5)) : 2,
    entryBytesMax: options.requestBytesMax + ENTRY_SLACK_BYTES,
    snapshotEntries,
    snapshotBytes,
    trailingEntries,
  };
}

/** 16 hexadecimal digits that nobody outside can know: the process has drawn `boot`. */
function seedOf(boot: number, chance: number): string {
  return createHash('sha256').update(`${boot} ${chance}`).digest('hex').slice(0, 16);
}

function matchesOf({ id, role, durableIndex, progress }: RaftStatus): MemberMatch[] {
  if (role !== 'leader') return [];
  const others = progress.filter((member) => member.id !== id);
  return [{ id, index: durableIndex }, ...others.map((member) => ({ id: member.id, index: member.match }))];
}

function roleOf({ id, role, membership }: RaftStatus): BackendStatus['role'] {
  if (role === 'leader') return role;
  if (role !== 'follower') return 'candidate';
  return membership.learners.includes(id) ? 'learner' : 'follower';
}

/** What the core refuses, in the words of this layer. */
function kvErrorOf(error: RaftError): KvError {
  const options = { cause: error };
  switch (error.code) {
    case 'KV_RAFT_NOT_LEADER':
    case 'KV_RAFT_NO_LEADER':
      return new KvError('KV_NOT_LEADER', error.message, options);
    case 'KV_RAFT_CONFIG_INVALID':
    case 'KV_RAFT_TRANSFER_INVALID':
      return new KvError('KV_MEMBER_INVALID', error.message, options);
    case 'KV_RAFT_STORAGE_FAILED':
      return new KvError('KV_STORAGE_FAILED', error.message, options);
    default:
      return new KvError('KV_BUSY', error.message, options);
  }
}
