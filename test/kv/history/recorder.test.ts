import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { HistoryRecorder, readHistory } from './recorder.js';

test('a recorded history read back from its file is the same, with what is unknown, never happened or is under way', (t) => {
  const file = path.join(temporaryFolder(t), 'history.jsonl');
  const recorder = new HistoryRecorder(file);
  const put = recorder.call(1, 'register', 'k', { op: 'put', value: 'a' });
  const get = recorder.call(2, 'register', 'k', { op: 'get' });
  recorder.returned(put, { version: 3 });
  recorder.unknown(get);
  recorder.never(recorder.call(1, 'register', 'k', { op: 'delete' }));
  recorder.call(3, 'counter', 'c', { op: 'add', by: 1 });
  recorder.flush();
  assert.equal(recorder.underWay, 1);
  assert.deepEqual(readHistory(file), { history: recorder.history(), failed: recorder.failed() });
  const [first, second, third] = recorder.history();
  assert(first!.callNs > 0 && first!.callNs < second!.callNs && second!.callNs < first!.returnNs);
  assert.deepEqual([second!.output, second!.returnNs, third!.returnNs], [null, Infinity, Infinity]);
  assert.deepEqual(
    recorder.failed().map(({ id }) => id),
    [3],
  );
});

test('a recorder that was killed in mid-line leaves a history that can be judged', (t) => {
  const file = path.join(temporaryFolder(t), 'history.jsonl');
  const recorder = new HistoryRecorder(file);
  recorder.returned(recorder.call(1, 'register', 'k', { op: 'get' }), { value: null });
  recorder.flush();
  appendFileSync(file, '{"id":2,"client":1,"mod');
  assert.equal(readHistory(file).history.length, 1);
});

test('a broken line is named', (t) => {
  const file = path.join(temporaryFolder(t), 'history.jsonl');
  writeFileSync(file, '{"id":1,"client":1,"model":"m","key":"k","input":1,"call":5}\nnonsense\n');
  assert.throws(() => readHistory(file), { message: `${file}:2: not a line of JSON` });
  writeFileSync(file, '{"id":7,"output":1,"return":5}\n');
  assert.throws(() => readHistory(file), { message: `${file}:1: operation 7 was not called` });
});

test('an operation is answered once', () => {
  const recorder = new HistoryRecorder();
  const id = recorder.call(1, 'register', 'k', { op: 'get' });
  recorder.returned(id, { value: null });
  assert.throws(() => recorder.unknown(id), /not under way/);
});

test('many operations are written as they come, not at the end alone', (t) => {
  const file = path.join(temporaryFolder(t), 'history.jsonl');
  const recorder = new HistoryRecorder(file);
  for (let at = 0; at < 1000; at += 1)
    recorder.returned(recorder.call(1, 'counter', 'c', { op: 'get' }), { value: 0 });
  assert(readFileSync(file, 'utf8').split('\n').length > 1500);
});
