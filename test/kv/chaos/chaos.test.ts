import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { runChaos } from './chaos-run.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);
const DURATION_MS = 18_000;
/** A busy machine may take minutes for what an idle one does in a second; the result tells what it took. */
const PATIENCE_MS = 180_000;

test('three processes under kills, stops, partitions and slow disks stay linearizable, lose nothing and recover', async (t) => {
  const lines: string[] = [];
  const result = await runChaos({
    seed: SEED,
    durationMs: DURATION_MS,
    folder: path.join(temporaryFolder(t), 'chaos'),
    respClients: 5,
    nativeClients: 2,
    clerks: 2,
    patienceMs: PATIENCE_MS,
    churn: false,
    log: (line) => lines.push(line),
  });
  t.diagnostic(JSON.stringify(result));
  assert.deepEqual(result.failures, [], `seed ${SEED}\n${lines.join('\n')}`);
  assert(result.operations.answered > 30);
  assert(Object.values(result.faults).reduce((sum, count) => sum + count, 0) >= 1);
});

test('members that read what they have without asking the others are found out', async (t) => {
  const result = await runChaos({
    seed: SEED,
    durationMs: 3000,
    folder: path.join(temporaryFolder(t), 'chaos'),
    respClients: 8,
    nativeClients: 0,
    clerks: 0,
    patienceMs: PATIENCE_MS,
    churn: false,
    readsCarelessly: true,
    log: () => {},
  });
  t.diagnostic(JSON.stringify(result.judgement));
  assert(result.judgement.violations > 0, `seed ${SEED}: ${JSON.stringify(result)}`);
});
