import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { REACTOR_ERROR_CODES } from '../../reactor/errors.js';
import {
  BYTES_READ,
  CONNECTIONS_OPEN,
  COUNTER_COLUMNS,
  FRAMES_RECEIVED,
  SharedCounters,
} from '../../reactor/shared-counters.js';

test('what a thread adds is read by another that attached the same memory', async () => {
  const counters = SharedCounters.create(2);
  const position = FRAMES_RECEIVED;
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     const row = new Float64Array(workerData.memory, workerData.offset, workerData.slots);
     for (let i = 0; i < 1000; i += 1) row[workerData.position] += 1;`,
    {
      eval: true,
      execArgv: [],
      workerData: {
        memory: counters.shared.memory,
        offset: counters.row(1).values.byteOffset,
        slots: counters.row(1).values.length,
        position,
      },
    },
  );
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.equal(SharedCounters.attach(counters.shared).row(1).get('frames_received'), 1000);
  assert.equal(counters.row(0).get('frames_received'), 0);
});

test('rows do not overlap and start on their own cache line', () => {
  const counters = SharedCounters.create(3);
  for (const thread of [0, 1, 2, 'main'] as const) {
    const { values } = counters.row(thread);
    assert.equal(values.byteOffset % 128, 0);
    values.fill(1);
  }
  for (const { name } of COUNTER_COLUMNS) assert.equal(counters.total(name), 4);
  for (const code of REACTOR_ERROR_CODES) assert.equal(counters.errorTotal(code), 4);
});

test('a restart keeps the counters and empties the gauges of that thread alone', () => {
  const counters = SharedCounters.create(2);
  for (const thread of [0, 1]) {
    counters.row(thread).values[BYTES_READ]! += 7;
    counters.row(thread).values[CONNECTIONS_OPEN]! += 3;
    counters.row(thread).countError('REACTOR_TIMEOUT');
  }
  counters.resetGauges(0);
  assert.equal(counters.row(0).get('bytes_read'), 7);
  assert.equal(counters.row(0).get('connections_open'), 0);
  assert.equal(counters.row(0).errorCount('REACTOR_TIMEOUT'), 1);
  assert.equal(counters.total('connections_open'), 3);
});

test('an error code has a column of its own', () => {
  const counters = SharedCounters.create(1);
  const row = counters.row('main');
  for (const [times, code] of REACTOR_ERROR_CODES.entries()) {
    for (let i = 0; i < times; i += 1) row.countError(code);
  }
  for (const [times, code] of REACTOR_ERROR_CODES.entries()) assert.equal(row.errorCount(code), times);
  for (const { name } of COUNTER_COLUMNS) assert.equal(row.get(name), 0);
});

test('a thread that does not exist has no row', () => {
  assert.throws(() => SharedCounters.create(2).row(3), RangeError);
});
