import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresOf, joinFigures, liveLine, RateMeter } from '../../cli/live-stats.js';
import { readyJson, readyText } from '../../cli/ready-line.js';
import {
  BYTES_READ,
  CONNECTIONS_OPEN,
  FRAMES_RECEIVED,
  LOOP_UTILIZATION,
  REQUESTS,
  SharedCounters,
} from '../../reactor/shared-counters.js';

function counters(): SharedCounters {
  const made = SharedCounters.create(2);
  made.row(0).values[CONNECTIONS_OPEN] = 3;
  made.row(1).values[CONNECTIONS_OPEN] = 4;
  made.row(0).values[LOOP_UTILIZATION] = 0.51239;
  return made;
}

test('rates count frames, requests and bytes between two looks', () => {
  const shared = counters();
  const meter = new RateMeter();
  assert.equal(meter.look(figuresOf(shared), 1000).requestsPerSecond, 0);
  shared.row(0).values[FRAMES_RECEIVED]! += 100;
  shared.row(1).values[REQUESTS]! += 50;
  shared.row(1).values[BYTES_READ]! += 4000;
  const stats = meter.look(figuresOf(shared), 3000);
  assert.equal(stats.requestsPerSecond, 75);
  assert.equal(stats.bytesReadPerSecond, 2000);
  assert.equal(stats.connections, 7);
  assert.equal(meter.look(figuresOf(shared), 4000).requestsPerSecond, 0);
});

test('a process that was started again never makes a rate negative', () => {
  const shared = counters();
  shared.row(0).values[FRAMES_RECEIVED] = 1000;
  const meter = new RateMeter();
  meter.look(figuresOf(shared), 0);
  assert.equal(meter.look(figuresOf(counters()), 1000).requestsPerSecond, 0);
});

test('figures name every thread, and the process where there are several', () => {
  const one = figuresOf(counters());
  assert.deepEqual(
    one.threads.map(({ thread }) => thread),
    [0, 1, 'main'],
  );
  assert.equal(one.threads[0]?.utilization, 0.512);
  const two = joinFigures([
    { index: 0, figures: one },
    { index: 1, figures: one },
  ]);
  assert.equal(two.rss, 2 * one.rss);
  assert.deepEqual(
    two.threads.map(({ process, thread }) => `${process}/${thread}`),
    ['0/0', '0/1', '0/main', '1/0', '1/1', '1/main'],
  );
});

test('the live line fits the terminal', () => {
  const stats = new RateMeter().look(figuresOf(counters()), 0);
  assert.match(liveLine(stats, 120), /^0 req\/s {2}7 connections {2}rss \d+ MiB {2}thread load 51% 0%$/);
  assert.equal(liveLine(stats, 30).length, 29);
});

test('the ready line has the keys that apply and nothing else', () => {
  const line = readyJson(42, { tcp: '127.0.0.1:9000', metrics: '127.0.0.1:9100' });
  assert.deepEqual(JSON.parse(line), {
    event: 'ready',
    pid: 42,
    listen: { tcp: '127.0.0.1:9000', metrics: '127.0.0.1:9100' },
  });
});

test('people are shown addresses that a browser can open', () => {
  const text = readyText(42, { http: '0.0.0.0:8080', tcp: '0.0.0.0:9000', metrics: '[::]:9100' }, false);
  assert.match(text, /http:\/\/localhost:8080\//);
  assert.match(text, /TCP {6}0\.0\.0\.0:9000/);
  assert.match(text, /http:\/\/localhost:9100\/metrics/);
  assert.match(readyText(1, { http: '[::1]:8443' }, true), /https:\/\/\[::1\]:8443\//);
});
