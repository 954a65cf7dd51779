import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderChart } from '../../bench/chart.js';
import { toResult } from '../../bench/sample.js';

test('a chart names every subject and every point, and needs no screen', async () => {
  const sample = {
    operations: 1,
    opsPerSecond: 1000,
    bytesPerSecond: 1,
    cpuPerOp: 4.25,
    userPerOp: 2,
    systemPerOp: 2.25,
    loadCpuPerOp: 1,
    rssBytes: 1,
    histogram: null,
    p50: 1,
    p99: 1,
    p999: 1,
  };
  const svg = await renderChart({
    suite: 'tcp',
    host: { cpus: 2, node: 'v20', kernel: '6', cpu_model: 'any' },
    started: '2026-01-01T00:00:00.000Z',
    effort: 'quick',
    results: [
      { ...toResult('grid', { threads: 1 }, 'reactor-net/net', [sample]), published_ops_per_s: 130_000 },
      toResult('echo', { connections: 40 }, 'C epoll', [sample]),
    ],
    checks: [],
    missing: [],
    notes: [],
  });
  assert.match(svg, /^<svg/);
  for (const part of [
    'reactor-net/net',
    'C epoll',
    'grid threads 1',
    'echo connections 40',
    '4.25',
    'design notes',
  ]) {
    assert.ok(svg.includes(part), part);
  }
});
