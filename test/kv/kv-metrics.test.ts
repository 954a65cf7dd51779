import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvMetrics } from '../../kv/kv-metrics.js';

test('every flush of the log is in both histograms when they are read, however many there were', async () => {
  const metrics = new KvMetrics();
  const count = async (name: string): Promise<number> => {
    const text = await metrics.registry.metrics();
    return Number(new RegExp(`^\\S*${name}_count (\\d+)$`, 'm').exec(text)?.[1]);
  };
  for (const total of [1, 255, 256, 1000]) {
    while ((await count('fsync_seconds')) < total) metrics.flushed({ appends: 2, ms: 1.5 });
    assert.equal(await count('fsync_appends'), total);
  }
  const fresh = new KvMetrics();
  for (let flush = 0; flush < 1000; flush += 1) fresh.flushed({ appends: 2, ms: 1.5 });
  const text = await fresh.registry.metrics();
  assert.match(text, /fsync_seconds_count 1000\n/);
  assert.match(text, /fsync_seconds_sum 1\.5\d*\n|fsync_seconds_sum 1\.4999\d*\n/);
  assert.match(text, /fsync_appends_sum 2000\n/);
});
