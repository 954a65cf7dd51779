// What members say to each other. The core makes and takes these objects; their bytes on a wire are the driver's choice.
// `checkMessage` narrows what arrived. A message with a term speaks for its sender's state in that term; the others are
// requests and answers between a member and the leader that hold in any term.

import { EMPTY, type Entry, type EntryKind, type SnapshotMeta } from './entry.js';
import { RaftError } from './errors.js';
import { checkNodeId, decodeMembership, type Membership } from './membership.js';

export type RaftMessage =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotChunk
  | SnapshotResponse
  | TimeoutNow
  | ProposeRequest
  | ProposeResponse
  | ReadRequest
  | ReadResponse;

export interface VoteRequest {
  readonly type: 'vote' | 'pre-vote';
  /** For `pre-vote` the term the sender would start. */
  readonly term: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** Asked for by the leader itself (transfer): a live leader is no reason to refuse. */
  readonly force: boolean;
}

export interface VoteResponse {
  readonly type: 'vote-response' | 'pre-vote-response';
  /** For a granted `pre-vote-response` the term asked for, else the sender's. */
  readonly term: number;
  readonly granted: boolean;
}

export interface AppendRequest {
  readonly type: 'append';
  readonly term: number;
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
}

export interface AppendResponse {
  readonly type: 'append-response';
  readonly term: number;
  readonly success: boolean;
  /** On success: the sender's log equals the leader's up to here, durably. Else the prevIndex that was refused. */
  readonly matchIndex: number;
  /** On refusal: the term of the sender's entry there (XTerm), 0 if it has none. */
  readonly conflictTerm: number;
  /** On refusal: the first index of that term (XIndex), or the index behind the sender's last entry (XLen). */
  readonly conflictIndex: number;
}

export interface Heartbeat {
  readonly type: 'heartbeat';
  readonly term: number;
  readonly commit: number;
  /** Counts the leader's rounds; what a quorum answers confirms leadership at the time the round began. */
  readonly round: number;
}

export interface HeartbeatResponse {
  readonly type: 'heartbeat-response';
  readonly term: number;
  readonly round: number;
}

/** The driver of the sender puts the bytes into `data`; the core leaves it empty. */
export interface SnapshotChunk {
  readonly type: 'snapshot';
  readonly term: number;
  readonly snapshot: SnapshotMeta;
  readonly offset: number;
  readonly byteCount: number;
  readonly data: Uint8Array;
}

export interface SnapshotResponse {
  readonly type: 'snapshot-response';
  readonly term: number;
  readonly index: number;
  /** Everything before it is stored; the next chunk begins here. */
  readonly nextOffset: number;
}

export interface TimeoutNow {
  readonly type: 'timeout-now';
  readonly term: number;
}

export interface ProposeRequest {
  readonly type: 'propose';
  readonly id: number;
  readonly data: readonly Uint8Array[];
}

export interface ProposeResponse {
  readonly type: 'propose-response';
  readonly id: number;
  /** 0 and 0 if the leader refused, else where the first of the entries stands and with which term. */
  readonly index: number;
  readonly term: number;
}

export interface ReadRequest {
  readonly type: 'read';
  readonly id: number;
}

export interface ReadResponse {
  readonly type: 'read-response';
  readonly id: number;
  readonly index: number;
}

const KINDS: ReadonlySet<EntryKind> = new Set(['normal', 'noop', 'config']);

/** @throws RaftError KV_RAFT_MESSAGE_INVALID on anything that a member of this version does not send */
export function checkMessage(message: RaftMessage): void {
  if (typeof message !== 'object' || message === null) throw invalid('a message is an object');
  switch (message.type) {
    case 'vote':
    case 'pre-vote':
      checkCounts(message, [message.term, message.lastIndex, message.lastTerm]);
      checkBoolean(message.type, message.force);
      return;
    case 'vote-response':
    case 'pre-vote-response':
      checkCounts(message, [message.term]);
      checkBoolean(message.type, message.granted);
      return;
    case 'append':
      checkCounts(message, [message.term, message.prevIndex, message.prevTerm, message.commit]);
      checkEntries(message.entries, message.prevIndex, message.prevTerm, message.term);
      return;
    case 'append-response':
      checkCounts(message, [message.term, message.matchIndex, message.conflictTerm, message.conflictIndex]);
      checkBoolean(message.type, message.success);
      return;
    case 'heartbeat':
      checkCounts(message, [message.term, message.commit, message.round]);
      return;
    case 'heartbeat-response':
      checkCounts(message, [message.term, message.round]);
      return;
    case 'snapshot':
      checkCounts(message, [message.term, message.offset, message.byteCount]);
      checkChunk(message);
      return;
    case 'snapshot-response':
      checkCounts(message, [message.term, message.index, message.nextOffset]);
      return;
    case 'timeout-now':
      checkCounts(message, [message.term]);
      return;
    case 'propose':
      checkCounts(message, [message.id]);
      if (!Array.isArray(message.data)) throw invalid('propose carries a list');
      for (const data of message.data) checkBytes(message.type, data);
      return;
    case 'propose-response':
      checkCounts(message, [message.id, message.index, message.term]);
      return;
    case 'read':
      checkCounts(message, [message.id]);
      return;
    case 'read-response':
      checkCounts(message, [message.id, message.index]);
      return;
    default:
      throw invalid(`there is no message ${String((message satisfies never as { type: unknown }).type)}`);
  }
}

/** Entries in a row behind (`prevIndex`, `prevTerm`), none above `termMax`. @throws as above */
export function checkEntries(
  entries: readonly Entry[],
  prevIndex: number,
  prevTerm: number,
  termMax: number,
): void {
  if (!Array.isArray(entries)) throw invalid('entries are a list');
  let index = prevIndex;
  let term = prevTerm;
  for (const entry of entries as readonly Entry[]) {
    index += 1;
    if (typeof entry !== 'object' || entry === null) throw invalid(`entry ${index} is an object`);
    if (entry.index !== index) throw invalid(`entry ${entry.index} stands where ${index} belongs`);
    if (!isCount(entry.term) || entry.term < term || entry.term > termMax || entry.term === 0) {
      throw invalid(`entry ${index} has term ${entry.term}, which is not between ${term} and ${termMax}`);
    }
    term = entry.term;
    if (!KINDS.has(entry.kind)) throw invalid(`entry ${index} is of no known kind`);
    checkBytes('entry', entry.data);
    if (entry.kind === 'config') checkMembership(decodeMembership(entry.data));
  }
}

export function checkSnapshot(snapshot: SnapshotMeta): void {
  if (typeof snapshot !== 'object' || snapshot === null) throw invalid('a snapshot is an object');
  if (!isCount(snapshot.index) || !isCount(snapshot.term) || !isCount(snapshot.byteCount)) {
    throw invalid('a snapshot has an index, a term and a byteCount');
  }
  checkMembership(snapshot.membership);
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** An append that asks only whether the logs agree, or carries only the commit index. */
export function isEmptyAppend(message: RaftMessage): boolean {
  return message.type === 'append' && message.entries.length === 0;
}

export function chunkOf(
  term: number,
  snapshot: SnapshotMeta,
  offset: number,
  byteCount: number,
): SnapshotChunk {
  return { type: 'snapshot', term, snapshot, offset, byteCount, data: EMPTY };
}

function checkMembership(membership: Membership): void {
  try {
    const { voters, outgoing, learners, learnersNext } = membership;
    for (const list of [voters, outgoing, learners, learnersNext]) {
      for (const [slot, id] of list.entries()) {
        checkNodeId(id);
        if (slot > 0 && list[slot - 1]! >= id) throw invalid('a membership lists ids in ascending order');
      }
    }
  } catch (error) {
    throw invalid(`a membership is unusable: ${error instanceof Error ? error.message : 'not a list'}`);
  }
}

function checkChunk(chunk: SnapshotChunk): void {
  checkSnapshot(chunk.snapshot);
  checkBytes(chunk.type, chunk.data);
  const { byteCount } = chunk.snapshot;
  if (chunk.data.length !== chunk.byteCount || chunk.offset + chunk.byteCount > byteCount) {
    throw invalid('a chunk has the bytes it announces and lies within its snapshot');
  }
  if (chunk.byteCount === 0 && byteCount > 0) throw invalid('a chunk has bytes');
}

function checkCounts(message: RaftMessage, counts: readonly unknown[]): void {
  for (const count of counts) {
    if (!isCount(count)) throw invalid(`${message.type} holds ${String(count)} where a count belongs`);
  }
}

function checkBoolean(type: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalid(`${type} lacks an answer`);
}

function checkBytes(type: string, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw invalid(`${type} lacks its bytes`);
}

function invalid(message: string): RaftError {
  return new RaftError('KV_RAFT_MESSAGE_INVALID', message);
}
