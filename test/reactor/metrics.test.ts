import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, renderSnapshots } from '../../reactor/metrics.js';
import {
  CONNECTIONS_OPEN,
  FRAMES_RECEIVED,
  SharedCounters,
  THREAD_RESTARTS,
} from '../../reactor/shared-counters.js';

/** The value on the line that starts with `series`, or null. */
function valueOf(text: string, series: string): number | null {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

test('a scrape shows what the threads have written since, per thread', async () => {
  const counters = SharedCounters.create(2);
  const metrics = new Metrics(counters);
  counters.row(0).values[FRAMES_RECEIVED]! += 5;
  assert.equal(valueOf(await metrics.render(), 'reactor_net_frames_received_total{thread="0"}'), 5);
  counters.row(0).values[FRAMES_RECEIVED]! += 1;
  counters.row(1).values[CONNECTIONS_OPEN] = 3;
  counters.row(1).values[THREAD_RESTARTS]! += 1;
  const text = await metrics.render();
  assert.equal(valueOf(text, 'reactor_net_frames_received_total{thread="0"}'), 6);
  assert.equal(valueOf(text, 'reactor_net_frames_received_total{thread="1"}'), 0);
  assert.equal(valueOf(text, 'reactor_net_connections{thread="1"}'), 3);
  assert.equal(valueOf(text, 'reactor_net_thread_restarts_total{thread="1"}'), 1);
});

test('errors are counted by code, and a code that never occurred has no line', async () => {
  const counters = SharedCounters.create(1);
  counters.row('main').countError('REACTOR_FD_LIMIT');
  const text = await new Metrics(counters).render();
  assert.equal(valueOf(text, 'reactor_net_errors_total{thread="main",code="REACTOR_FD_LIMIT"}'), 1);
  assert(!text.includes('REACTOR_TIMEOUT'));
});

test('every metric has the prefix, help and a type, and counters end in _total', async () => {
  const text = await new Metrics(SharedCounters.create(1)).render();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  assert(types.length > 30);
  for (const [, name, type] of types) {
    assert.match(name!, /^reactor_net_/);
    assert(text.includes(`# HELP ${name} `));
    if (type === 'counter') assert.match(name!, /_total$/);
  }
  assert.match(text, /^reactor_net_process_resident_memory_bytes \d+$/m);
});

test('the metrics of two processes are told apart by their label and never added up', async () => {
  const snapshots = await Promise.all(
    [4, 6].map((frames, index) => {
      const counters = SharedCounters.create(1);
      counters.row(0).values[FRAMES_RECEIVED] = frames;
      return new Metrics(counters, { process: String(index) }).snapshot();
    }),
  );
  // They cross an IPC channel as JSON.
  const text = await renderSnapshots(JSON.parse(JSON.stringify(snapshots)));
  assert.equal(valueOf(text, 'reactor_net_frames_received_total{thread="0",process="0"}'), 4);
  assert.equal(valueOf(text, 'reactor_net_frames_received_total{thread="0",process="1"}'), 6);
  assert.equal([...text.matchAll(/^# TYPE reactor_net_frames_received_total /gm)].length, 1);
});
