import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../../kv/errors.js';
import { decodeMessages, FLAG_SKIPPABLE, MessageEncoder } from '../../../kv/peer/message-codec.js';
import { PeerQueue } from '../../../kv/peer/peer-queue.js';
import { encodeMembership, membershipOf, type RaftMessage } from '../../../kv/raft/index.js';
import { seededRandom } from '../support/seeded-random.js';

const BIG = 2 ** 53 - 1;
const membership = membershipOf([1, 2, 3], [9]);
const snapshot = { index: 70, term: 4, membership, byteCount: 300 };

const MESSAGES: readonly RaftMessage[] = [
  { type: 'vote', term: BIG, lastIndex: BIG, lastTerm: 3, force: true },
  { type: 'pre-vote', term: 7, lastIndex: 0, lastTerm: 0, force: false },
  { type: 'vote-response', term: 7, granted: true },
  { type: 'pre-vote-response', term: 7, granted: false },
  {
    type: 'append',
    term: 9,
    prevIndex: 41,
    prevTerm: 8,
    commit: 40,
    entries: [
      { index: 42, term: 8, kind: 'normal', data: Buffer.from('bytes\0\xff', 'latin1') },
      { index: 43, term: 9, kind: 'noop', data: Buffer.alloc(0) },
      { index: 44, term: 9, kind: 'config', data: Buffer.from(encodeMembership(membership)) },
    ],
  },
  { type: 'append', term: 9, prevIndex: 44, prevTerm: 9, commit: 44, entries: [] },
  { type: 'append-response', term: 9, success: false, matchIndex: 41, conflictTerm: 5, conflictIndex: 30 },
  { type: 'heartbeat', term: 9, commit: 44, round: 1000 },
  { type: 'heartbeat-response', term: 9, round: 1000 },
  { type: 'snapshot', term: 9, snapshot, offset: 100, byteCount: 200, data: Buffer.alloc(200, 7) },
  { type: 'snapshot-response', term: 9, index: 70, nextOffset: 300 },
  { type: 'timeout-now', term: 9 },
  { type: 'propose', id: BIG, data: [Buffer.from('one'), Buffer.alloc(0), Buffer.from('three')] },
  { type: 'propose-response', id: BIG, index: 45, term: 9 },
  { type: 'read', id: BIG },
  { type: 'read-response', id: BIG, index: 44 },
];

test('every message comes back as it was, alone and one behind the other', () => {
  for (const message of MESSAGES) {
    assert.deepEqual(decodeMessages(Buffer.concat(new MessageEncoder().encode([message]))), [message]);
  }
  const all = Buffer.concat(new MessageEncoder().encode(MESSAGES));
  assert.deepEqual(decodeMessages(all), MESSAGES);
});

test('the entries of an append are made into bytes once for all members', () => {
  const encoder = new MessageEncoder();
  const append = MESSAGES[4] as Extract<RaftMessage, { type: 'append' }>;
  const first = encoder.encode([append]);
  const second = encoder.encode([{ ...append, entries: [...append.entries], commit: 39 }]);
  assert.equal(first[1], second[1], 'the same buffer');
});

test('a message of an unknown type is skipped if it says that it may be, and refused if not', () => {
  const known = Buffer.concat(new MessageEncoder().encode([MESSAGES[7]!]));
  const unknown = (flags: number): Buffer => {
    const bytes = Buffer.alloc(8 + 5);
    bytes[0] = 200;
    bytes[1] = flags;
    bytes.writeUInt32LE(5, 4);
    return bytes;
  };
  assert.deepEqual(decodeMessages(Buffer.concat([unknown(FLAG_SKIPPABLE), known])), [MESSAGES[7]]);
  assert.throws(() => decodeMessages(Buffer.concat([unknown(0), known])), { code: 'KV_MESSAGE_INVALID' });
});

test('what a later version adds at the end of a message is ignored', () => {
  const bytes = Buffer.concat([...new MessageEncoder().encode([MESSAGES[7]!]), Buffer.from('more')]);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  assert.deepEqual(decodeMessages(bytes), [MESSAGES[7]]);
});

test('bytes that are cut or changed are refused with one error, or are other messages; nothing else is thrown', () => {
  const random = seededRandom(5);
  const all = Buffer.concat(new MessageEncoder().encode(MESSAGES));
  const judge = (bytes: Buffer): void => {
    try {
      decodeMessages(bytes);
    } catch (error) {
      assert.ok(error instanceof KvError && error.code === 'KV_MESSAGE_INVALID', String(error));
    }
  };
  for (let end = 0; end < all.length; end += 1) judge(all.subarray(0, end));
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(all);
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    judge(bytes);
  }
});

test('a full queue drops the oldest of the kind, and keeps one of what only the newest says', () => {
  const queue = new PeerQueue({ messagesMax: 3 });
  const heartbeat = (round: number): RaftMessage => ({ type: 'heartbeat', term: 1, commit: 0, round });
  const append = (prevIndex: number): RaftMessage => ({
    type: 'append',
    term: 1,
    prevIndex,
    prevTerm: 1,
    commit: 0,
    entries: [],
  });
  for (const round of [1, 2, 3]) queue.push(heartbeat(round), true);
  for (const index of [1, 2, 3]) queue.push(append(index), true);
  assert.deepEqual(queue.take(1000), [heartbeat(3), append(2), append(3)]);
  assert.equal(queue.dropped, 3);
});

test('an append that only tells a commit index goes when the next one, from the same place, tells it as well', () => {
  const queue = new PeerQueue();
  const append = (prevIndex: number, commit: number): RaftMessage => ({
    type: 'append',
    term: 1,
    prevIndex,
    prevTerm: 1,
    commit,
    entries: [],
  });
  queue.push(append(5, 4), true);
  queue.push(append(5, 5), true);
  queue.push(append(7, 6), true);
  assert.deepEqual(queue.take(1000), [append(5, 5), append(7, 6)]);
});

test('for a member that is away no entries are kept', () => {
  const queue = new PeerQueue({ offlineMax: 2 });
  queue.push({ type: 'append', term: 1, prevIndex: 1, prevTerm: 1, commit: 0, entries: [] }, false);
  for (const id of [1, 2, 3]) queue.push({ type: 'read', id }, false);
  assert.deepEqual(
    queue.take(1000).map((message) => (message as { id: number }).id),
    [2, 3],
  );
});
