import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FULL, QUICK, SMOKE } from '../../bench/effort.js';
import { parseOptions } from '../../bench/options.js';

const NAMES = ['tcp', 'http'];

test('without a suite all of them run, judged', () => {
  const options = parseOptions([], NAMES);
  assert.deepEqual(options, { suites: NAMES, effort: FULL, jsonFile: null, svgFile: null, pin: false });
});

test('quick and smoke only report', () => {
  assert.equal(QUICK.judged || SMOKE.judged, false);
  const options = parseOptions(['tcp', '--quick', '--pairs', '5', '--json', 'out.json'], NAMES);
  assert.ok(options !== 'help');
  assert.deepEqual(options.effort, { ...QUICK, pairs: 5, pointPairs: 5 });
  assert.equal(options.jsonFile, 'out.json');
});

test('a wrong argument is named together with what would be right', () => {
  assert.throws(() => parseOptions(['udp'], NAMES), /'udp': the suites are tcp, http/);
  assert.throws(() => parseOptions(['--pairs', 'x'], NAMES), /--pairs: 'x' is not a whole number/);
  assert.throws(() => parseOptions(['--quick', '--smoke'], NAMES), /give one of them/);
  assert.throws(() => parseOptions(['--svg', 'a.svg'], NAMES), /--svg: give one suite/);
  assert.throws(() => parseOptions(['--fast'], NAMES), /--fast/);
});
