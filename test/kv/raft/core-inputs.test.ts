// What the core refuses, with which code, and that a refusal changes nothing. A single member whose disk is always ready.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  bootstrap,
  type Effect,
  type Entry,
  membershipOf,
  RaftCore,
  type RaftErrorCode,
  type RaftMessage,
  type RaftOptions,
  type RestoredState,
} from '../../../kv/raft/index.js';

function single(options: Partial<RaftOptions> = {}, restored?: RestoredState): RaftCore {
  return new RaftCore({ id: 1, ...options }, () => 0, restored ?? bootstrap(membershipOf([1])));
}

/** Carries out writes and applies at once. Returns everything else. */
function run(core: RaftCore, effects: readonly Effect[]): Effect[] {
  return effects.flatMap((effect) => {
    if (effect.kind === 'persist') return run(core, core.persisted(effect.token));
    if (effect.kind === 'apply') return run(core, core.applied(effect.entries.at(-1)!.index)); // never empty
    return [effect];
  });
}

function elected(options: Partial<RaftOptions> = {}): RaftCore {
  const core = single(options);
  for (let tick = 0; tick < 10; tick += 1) run(core, core.tick());
  assert.equal(core.role, 'leader');
  return core;
}

function refuses(core: RaftCore, code: RaftErrorCode, call: () => unknown): void {
  const before = core.status();
  assert.throws(call, { name: 'RaftError', code });
  assert.deepEqual(core.status(), before, 'nothing was changed');
}

const DATA = Uint8Array.of(1, 2, 3);

test('a single member leads by itself, once its own vote and entry are durable', () => {
  const core = single();
  const effects = Array.from({ length: 10 }, () => core.tick()).flat();
  const write = effects.find((effect) => effect.kind === 'persist');
  assert.equal(core.role, 'candidate');
  const next = core.persisted(write!.token); // the candidacy
  assert.equal(core.role, 'leader');
  assert.equal(core.commitIndex, 0);
  core.persisted(next.find((effect) => effect.kind === 'persist')!.token); // the no-op
  assert.equal(core.commitIndex, 1);
});

test('whoever stands for election asks those who have not answered again with every heartbeat', () => {
  const options = { id: 1, heartbeatTicks: 2, electionTicks: 10 };
  const core = new RaftCore(options, () => 0, bootstrap(membershipOf([1, 2, 3])));
  const asked = (effects: readonly Effect[]): string[] =>
    run(core, effects).flatMap((effect) =>
      effect.kind === 'send' ? [`${effect.message.type} to ${effect.to}`] : [],
    );
  const ticks = (count: number): string[] => Array.from({ length: count }, () => asked(core.tick())).flat();
  assert.deepEqual(ticks(10), ['pre-vote to 2', 'pre-vote to 3']);
  assert.deepEqual(ticks(1), []);
  assert.deepEqual(ticks(1), ['pre-vote to 2', 'pre-vote to 3']);
  const granted = core.receive(2, { type: 'pre-vote-response', term: 1, granted: true });
  assert.deepEqual(asked(granted), ['vote to 2', 'vote to 3']);
  assert.deepEqual(asked(core.receive(3, { type: 'vote-response', term: 1, granted: false })), []);
  assert.deepEqual(ticks(4), ['vote to 2', 'vote to 2']);
  core.receive(2, { type: 'vote-response', term: 1, granted: true });
  assert.equal(core.role, 'leader');
});

test('messages that no member sends are refused, and nothing is changed', () => {
  const core = elected();
  const entry: Entry = { index: 2, term: 1, kind: 'normal', data: DATA };
  const append = { type: 'append', term: 1, prevIndex: 1, prevTerm: 1, entries: [entry], commit: 0 } as const;
  const wrong: unknown[] = [
    null,
    'vote',
    { type: 'unheard-of' },
    { type: 'vote', term: -1, lastIndex: 0, lastTerm: 0, force: false },
    { type: 'vote', term: 1, lastIndex: 0, lastTerm: 0 },
    { type: 'heartbeat', term: 1.5, commit: 0, round: 0 },
    { ...append, entries: 'many' },
    { ...append, entries: [{ ...entry, index: 3 }] },
    { ...append, entries: [{ ...entry, term: 2 }] },
    { ...append, entries: [{ ...entry, kind: 'other' }] },
    { ...append, entries: [{ ...entry, data: [1] }] },
    { ...append, entries: [{ ...entry, kind: 'config' }] },
    { type: 'snapshot', term: 1, offset: 0, byteCount: 3, data: DATA, snapshot: { index: 3, term: 1 } },
    { type: 'snapshot', term: 1, offset: 0, byteCount: 3, data: DATA },
    { ...append, entries: [null] },
    { type: 'propose', id: 1, data: 'x' },
  ];
  for (const message of wrong) {
    refuses(core, 'KV_RAFT_MESSAGE_INVALID', () => core.receive(2, message as RaftMessage)); // what a wire may bring
  }
});

test('impossible arguments are refused with a code', () => {
  const core = elected();
  refuses(core, 'KV_RAFT_ARGUMENT_INVALID', () => core.propose([]));
  refuses(core, 'KV_RAFT_ARGUMENT_INVALID', () => core.applied(99));
  refuses(core, 'KV_RAFT_ARGUMENT_INVALID', () => core.snapshotted(99, 1));
  refuses(core, 'KV_RAFT_TOKEN_UNKNOWN', () => core.persisted(99));
  refuses(core, 'KV_RAFT_TRANSFER_INVALID', () => core.transferLeadership(1));
  refuses(core, 'KV_RAFT_CONFIG_INVALID', () => core.changeConfig([{ type: 'remove', id: 1 }]));
  refuses(core, 'KV_RAFT_CONFIG_INVALID', () => core.changeConfig([{ type: 'add-voter', id: 0 }]));
  refuses(core, 'KV_RAFT_CONFIG_INVALID', () => core.changeConfig([]));
});

test('options that make no sense are refused by name', () => {
  const wrong: object[] = [
    { electionTicks: 0 },
    { electionTicks: 1 },
    { heartbeatTicks: 1.5 },
    { preVote: 'yes' },
    { leaseReads: true, checkQuorum: false },
    { leaseReads: true, leaseDriftTicks: 10 },
    { electionTimeout: 10 },
    { id: 0 },
  ];
  for (const options of wrong) {
    assert.throws(() => single(options), { code: 'KV_RAFT_OPTION_INVALID' }, JSON.stringify(options));
  }
});

test('stored state that contradicts itself is refused', () => {
  const entry = (index: number, term: number): Entry => ({ index, term, kind: 'normal', data: DATA });
  const state = bootstrap(membershipOf([1]));
  const hardState = { term: 2, vote: null, commit: 0 };
  const wrong: RestoredState[] = [
    { ...state, hardState, entries: [entry(2, 1)] },
    { ...state, hardState, entries: [entry(1, 1), entry(3, 1)] },
    { ...state, hardState, entries: [entry(1, 2), entry(2, 1)] },
    { ...state, hardState, entries: [entry(1, 3)] },
    { ...state, hardState, entries: [entry(1, 1)], appliedIndex: 2 },
    { ...state, hardState, entries: [entry(6, 1)], snapshot: { ...state.snapshot, index: 5, term: 2 } },
  ];
  for (const restored of wrong) assert.throws(() => single({}, restored), { code: 'KV_RAFT_STATE_INVALID' });
});

test('what is kept as committed is in earlier writes, so that a write torn behind its hard state commits nothing else', () => {
  const entry = (index: number, term: number): Entry => ({ index, term, kind: 'normal', data: DATA });
  const hardState = { term: 2, vote: null, commit: 1 };
  // Its second entry is of a leader that is gone, and was never committed.
  const restored = { ...bootstrap(membershipOf([1, 2, 3])), hardState, entries: [entry(1, 1), entry(2, 2)] };
  const follower = new RaftCore({ id: 1 }, () => 0, restored);
  const append = {
    type: 'append',
    term: 3,
    prevIndex: 1,
    prevTerm: 1,
    entries: [entry(2, 3)],
    commit: 2,
  } as const;
  const write = follower.receive(3, append).find((effect) => effect.kind === 'persist');
  assert.equal(follower.commitIndex, 2);
  assert.deepEqual(write!.entries, [entry(2, 3)]);
  assert.equal(write!.hardState.commit, 1);
  follower.persisted(write!.token);
  const next = follower.receive(3, {
    ...append,
    prevIndex: 2,
    prevTerm: 3,
    entries: [entry(3, 3)],
    commit: 3,
  });
  assert.equal(next.find((effect) => effect.kind === 'persist')!.hardState.commit, 2);
});

test('proposals beyond the bound on uncommitted bytes are refused until some are committed', () => {
  const core = elected({ uncommittedBytesMax: 100 });
  const effects = core.propose([new Uint8Array(90)]);
  refuses(core, 'KV_RAFT_PROPOSALS_FULL', () => core.propose([new Uint8Array(90)]));
  run(core, effects);
  assert.equal(core.status().uncommittedBytes, 0);
  assert.equal(core.propose([new Uint8Array(90)])[0]?.kind, 'proposed');
});

test('an entry above the bound, and a proposal without a leader, are refused', () => {
  refuses(single(), 'KV_RAFT_NO_LEADER', () => single().propose([DATA]));
  refuses(single(), 'KV_RAFT_NO_LEADER', () => single().readIndex('x'));
  const core = elected({ entryBytesMax: 2 });
  refuses(core, 'KV_RAFT_ENTRY_TOO_LARGE', () => core.propose([DATA]));
});

test('after a failed write a member neither leads nor votes nor writes', () => {
  const core = elected();
  const role = core.storageFailed().find((effect) => effect.kind === 'role');
  assert.equal(role?.reason, 'storage-failed');
  const request = { type: 'vote', term: 9, lastIndex: 99, lastTerm: 8, force: true } as const;
  assert.deepEqual(core.receive(2, request), []);
  for (let tick = 0; tick < 50; tick += 1) assert.deepEqual(core.tick(), []);
  refuses(core, 'KV_RAFT_STORAGE_FAILED', () => core.propose([DATA]));
  refuses(core, 'KV_RAFT_STORAGE_FAILED', () => core.readIndex('x'));
});

test('a member that forgot what it acknowledged is told so', () => {
  const core = single({}, bootstrap(membershipOf([1, 2, 3])));
  const heartbeat = { type: 'heartbeat', term: 3, commit: 7, round: 1 } as const;
  assert.throws(() => core.receive(2, heartbeat), { code: 'KV_RAFT_LOG_LOST' });
});

test('a snapshot that failed is not asked for again before an election timeout has passed', () => {
  const core = elected({ snapshotEntries: 3 });
  const asked = (effects: readonly Effect[]): number =>
    run(core, effects).filter(({ kind }) => kind === 'take-snapshot').length;
  assert.equal(asked(core.propose([DATA, DATA, DATA])), 1);
  assert.equal(asked(core.snapshotFailed()), 0, 'at once it would only fail again');
  assert.equal(asked(core.propose([DATA, DATA, DATA, DATA])), 0);
  const later = Array.from({ length: 10 }, () => asked(core.tick()));
  assert.deepEqual(later, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test('a member that starts with more log behind its snapshot than it should have forgets that at its first tick', () => {
  const entry = (index: number): Entry => ({ index, term: 1, kind: 'normal', data: DATA });
  const membership = membershipOf([1, 2, 3]);
  const core = single(
    { trailingEntries: 2 },
    {
      hardState: { term: 1, vote: null, commit: 5 },
      snapshot: { index: 5, term: 1, membership, byteCount: 8 },
      entries: [1, 2, 3, 4, 5, 6, 7].map(entry),
    },
  );
  assert.equal(core.status().firstIndex, 1);
  const compacts = core.tick().filter((effect) => effect.kind === 'compact');
  assert.deepEqual(compacts, [{ kind: 'compact', index: 3, term: 1 }]);
  assert.equal(core.status().firstIndex, 4);
  assert.deepEqual(core.tick(), []);
});
