import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvError } from '../../../kv/errors.js';
import { ItemWriter } from '../../../kv/machine/batch.js';
import { Proposals } from '../../../kv/node/proposals.js';

const LIMITS = {
  batchBytesMax: 2 ** 20,
  submissionBytesMax: 2 ** 20,
  pendingBytesMax: 2 ** 20,
  pendingCountMax: 10,
};

test('a batch that the machine passed over has an unknown outcome, and nobody is told that it was carried out', () => {
  const proposals = new Proposals(1, 1, LIMITS, (error) => {
    throw error;
  });
  const errors: (KvError | null)[] = [];
  const items = new ItemWriter();
  for (let each = 0; each < 2; each += 1) {
    items.redis(['SET', 'a', '1'], false);
    proposals.submit(items.take(), (error) => errors.push(error), 1000, 1000);
  }
  const batch = proposals.seal(0)!;
  assert.deepEqual(proposals.countsOf(batch.sequence), [1, 1]);
  proposals.applied(batch.sequence, null);
  assert.equal(errors.length, 2);
  for (const error of errors) {
    assert.equal(error?.code, 'KV_OUTCOME_UNKNOWN');
    assert.match(
      error.message,
      /carried out before without an answer, or it came too late for the log to tell/,
    );
  }
  assert.equal(proposals.pendingCount, 0);
});
