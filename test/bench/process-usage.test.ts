import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  cpuBetween,
  cpuSnapshot,
  descriptorCount,
  processTree,
  residentBytes,
} from '../../bench/process-usage.js';

const isLinux = process.platform === 'linux';

test('CPU time of a process that computes is user time, and close to what the kernel says', {
  skip: !isLinux,
}, () => {
  const before = cpuSnapshot(process.pid);
  const usageBefore = process.cpuUsage();
  const until = performance.now() + 200;
  while (performance.now() < until) JSON.parse('{"some":["work"]}');
  const usage = process.cpuUsage(usageBefore);
  const cpu = cpuBetween(before, cpuSnapshot(process.pid));
  const expected = usage.user + usage.system;
  assert.ok(Math.abs(cpu.total - expected) < 20_000, `${cpu.total} us, the kernel says ${expected}`);
  assert.ok(Math.abs(cpu.user + cpu.system - cpu.total) < 1);
});

test('children of a process are part of it until they end', { skip: !isLinux }, async () => {
  const child = spawn(process.execPath, ['-e', "process.stdout.write('up');process.stdin.resume()"]);
  try {
    await once(child.stdout, 'data');
    assert.ok(processTree(process.pid).includes(child.pid ?? 0));
    assert.ok(residentBytes(process.pid) > residentBytes(child.pid ?? 0));
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
  assert.ok(!processTree(process.pid).includes(child.pid ?? 0));
});

test('a thread that ended leaves the total to the clock ticks', () => {
  const before = { userTicks: 10, systemTicks: 0, runNanos: new Map([[1, 5_000_000]]) };
  const after = { userTicks: 13, systemTicks: 1, runNanos: new Map([[2, 9_000_000]]) };
  assert.deepEqual(cpuBetween(before, after), { total: 40_000, user: 30_000, system: 10_000 });
  const both = { ...after, runNanos: new Map([...before.runNanos, ...after.runNanos]) };
  assert.deepEqual(cpuBetween(before, both), { total: 9000, user: 6750, system: 2250 });
});

test('a process has at least its three standard descriptors', { skip: !isLinux }, () => {
  assert.ok(descriptorCount(process.pid) >= 3);
});
