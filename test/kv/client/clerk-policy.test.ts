import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptMs, backoffMs, judge, MemberChoice } from '../../../kv/client/clerk-policy.js';

const half = (): number => 0.5;
const SUSPICION = { firstMs: 100, maxMs: 1000 };

function choiceOf(endpoints: readonly string[], followsUnlisted = true): MemberChoice {
  return new MemberChoice(endpoints, { suspicion: SUSPICION, followsUnlisted, start: 0 });
}

test('pauses double up to their most, and half of each is chance', () => {
  const backoff = { firstMs: 100, maxMs: 1000 };
  const least = [0, 1, 2, 3, 4, 40].map((pause) => backoffMs(pause, backoff, () => 0));
  assert.deepEqual(least, [50, 100, 200, 400, 500, 500]);
  assert.equal(
    backoffMs(2, backoff, () => 1),
    400,
  );
});

test('what may have been carried out is repeated in a session, and never outside of one', () => {
  const lost = { code: 'RPC_CONNECTION_LOST', executed: 'unknown', leader: '' } as const;
  assert.equal(judge(lost, 'once').kind, 'retry');
  assert.equal(judge(lost, 'harmless').kind, 'retry');
  assert.equal(judge(lost, 'never').kind, 'final');
  assert.equal(judge({ ...lost, executed: 'no' }, 'never').kind, 'retry');
});

test('what the caller did wrong is not repeated, what the cluster lacks is, after a pause', () => {
  const failed = (code: string, leader = '') => judge({ code, executed: 'no', leader }, 'once');
  for (const code of [
    'KV_REQUEST_INVALID',
    'KV_QUOTA',
    'RPC_UNAUTHENTICATED',
    'RPC_UNIMPLEMENTED',
    'KV_OF_LATER_VERSIONS',
  ])
    assert.equal(failed(code).kind, 'final', code);
  assert.deepEqual(failed('KV_NO_LEADER'), { kind: 'retry', elsewhere: true, pauses: true, blames: false });
  assert.deepEqual(failed('KV_QUEUE_FULL'), { kind: 'retry', elsewhere: false, pauses: true, blames: false });
  assert.deepEqual(failed('RPC_CONNECT_FAILED'), {
    kind: 'retry',
    elsewhere: true,
    pauses: false,
    blames: true,
  });
  assert.deepEqual(failed('KV_CLUSTER_FOREIGN'), failed('RPC_CONNECT_FAILED'));
  assert.deepEqual(failed('KV_NOT_LEADER', 'b:1'), {
    kind: 'retry',
    elsewhere: true,
    pauses: false,
    blames: false,
  });
  assert.deepEqual(failed('KV_NOT_LEADER'), { kind: 'retry', elsewhere: true, pauses: true, blames: false });
});

test('the leader is asked first, each other member once, and nobody twice before a pause', () => {
  const choice = choiceOf(['a:1', 'b:1', 'c:1']);
  choice.leaderIs('b:1');
  const tried = new Set<string>();
  for (let member = choice.pick(0, tried); member !== null; member = choice.pick(0, tried)) tried.add(member);
  assert.equal([...tried][0], 'b:1');
  assert.equal(tried.size, 3);
});

test('a member that failed is asked last until its time is over; calls that failed together are one failure', () => {
  const choice = choiceOf(['a:1', 'b:1']);
  for (let call = 0; call < 5; call += 1) choice.failed('a:1', 0, half);
  for (let call = 0; call < 4; call += 1) assert.equal(choice.pick(10, null), 'b:1');
  const later = new Set([choice.pick(80, null), choice.pick(80, null)]);
  assert.equal(later.size, 2);
  choice.failed('a:1', 80, half);
  assert.equal(choice.pick(80 + 140, null), 'b:1', 'the second time is longer');
  choice.failed('b:1', 100, half);
  assert.notEqual(choice.pick(110, null), null, 'one of them is asked where all have failed');
});

test('leaders that nobody listed are followed where that is wanted, and only so many are remembered', () => {
  const choice = choiceOf(['a:1']);
  for (let member = 0; member < 50; member += 1) choice.leaderIs(`h${member}:1`);
  assert.equal(choice.pick(0, null), 'h49:1');
  assert.equal(choice.addresses.length, 17);
  assert(choice.addresses.includes('a:1'));
  const strict = choiceOf(['a:1'], false);
  strict.leaderIs('b:1');
  assert.deepEqual([strict.leader, strict.pick(0, null)], ['', 'a:1']);
});

test('a leader that fails is not the leader any more for us', () => {
  const choice = choiceOf(['a:1', 'b:1']);
  choice.leaderIs('b:1');
  choice.failed('b:1', 0, half);
  assert.equal(choice.leader, '');
  assert.equal(choice.pick(1, null), 'a:1');
});

test('an attempt gets twice as long after each round of silence, up to a bound', () => {
  assert.deepEqual(
    [0, 1, 2, 6, 100].map((rounds) => attemptMs(10, rounds)),
    [10, 20, 40, 640, 640],
  );
});
