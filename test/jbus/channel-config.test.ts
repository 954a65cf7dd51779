// The configuration file: what it becomes, and what is said of each mistake.

import assert from 'node:assert/strict';
import test from 'node:test';

import { JbusError, pairKey, parseChannelConfig } from '../../addon/jbus/index.js';

const GOOD = `
namespace: 100
defaults:
  capacityOut: 8 MiB
  heartbeatMs: 100
nodes:
  worker: 1
  blender: 2
  monitor: 3
channels:
  - name: frames
    owner: worker
    peer: blender
    capacityIn: 64 KiB
    persistent: true
  - name: status
    owner: monitor
    peer: worker
    key: 0x1000
    capacityOut: 4096
    backing: memfd
`;

/** Everything that is said of a text. */
function complaintsOf(text: string): string[] {
  try {
    parseChannelConfig(text, 'jbus.yaml');
  } catch (error) {
    assert(error instanceof JbusError && error.code === 'JBUS_CONFIG_INVALID');
    return error.message.split('\n');
  }
  return [];
}

/** GOOD with one line replaced, or added behind another. */
function changed(from: string, to: string): string {
  assert(GOOD.includes(from));
  return GOOD.replace(from, to);
}

test('a file becomes complete settings, channel over defaults over built-in', () => {
  const { nodes, channels } = parseChannelConfig(GOOD, 'jbus.yaml');
  assert.deepEqual(Object.fromEntries(nodes), { worker: 1, blender: 2, monitor: 3 });
  const [frames, status] = channels;
  assert.deepEqual(frames, {
    name: 'frames',
    owner: 'worker',
    peer: 'blender',
    key: pairKey(1, 2, 100),
    backing: 'auto',
    capacityOut: 8 * 1024 * 1024,
    capacityIn: 64 * 1024,
    messageBytesMax: 256 * 1024 * 1024,
    heartbeatMs: 100,
    writeTimeoutMs: 1000,
    readTimeoutMs: 30_000,
    pendingWritesMax: 1024,
    pendingWriteBytesMax: 64 * 1024 * 1024,
    pendingReadsMax: 1024,
    spinMicros: 0,
    persistent: true,
    crc: false,
  });
  assert.deepEqual([status?.key, status?.capacityOut, status?.backing], [0x1000, 4096, 'memfd']);
});

const MISTAKES: readonly (readonly [string, string, string])[] = [
  [
    'capacityIn: 64 KiB',
    'capacityIn: 65000',
    "jbus.yaml:14: capacityIn must be a power of two from 4 KiB to 2 GiB, like '8 MiB', not 65000",
  ],
  [
    'heartbeatMs: 100',
    'heartbeatMs: -1',
    'jbus.yaml:5: heartbeatMs must be a whole number from 0 to 60000, not -1',
  ],
  ['persistent: true', 'persistent: maybe', 'jbus.yaml:15: persistent must be true or false, not maybe'],
  ['key: 0x1000', 'key: 0x1001', 'jbus.yaml:19: key must be an even number from 2 to 2147483646, not 4097'],
  ['peer: blender', 'peer: houdini', 'jbus.yaml:13: peer must be worker, blender, monitor, not houdini'],
  ['peer: blender', 'peer: worker', 'jbus.yaml:13: peer must be another node than the owner'],
  ['name: status', 'name: frames', 'jbus.yaml:16: name frames is taken already'],
  ['blender: 2', 'blender: 1', 'jbus.yaml:8: nodes.blender has the id of worker, 1'],
  [
    'blender: 2',
    'blender: 4095',
    'jbus.yaml:8: nodes.blender must be a whole number from 0 to 4094, not 4095',
  ],
  ['backing: memfd', 'backing: tape', 'jbus.yaml:21: backing must be auto, sysv, memfd, socket, not tape'],
  [
    'namespace: 100',
    'namespace: x',
    'jbus.yaml:2: namespace must be a whole number from 0 to 8388607, not x',
  ],
];

test('each mistake is told with its line, its field and what would be right', () => {
  for (const [from, to, complaint] of MISTAKES)
    assert.deepEqual(complaintsOf(changed(from, to)), [complaint]);
});

test('an unknown field is told with those there are', () => {
  const [complaint] = complaintsOf(changed('capacityIn: 64 KiB', 'capactyIn: 64 KiB'));
  assert.match(
    complaint!,
    /^jbus\.yaml:14: a channel has no field capactyIn; there are name, owner, peer, key, /,
  );
});

test('two channels of one pair need a key of their own', () => {
  const twice = changed(
    '  - name: status\n    owner: monitor\n    peer: worker\n    key: 0x1000',
    ['  - name: status', '    owner: blender', '    peer: worker'].join('\n'),
  );
  assert.deepEqual(complaintsOf(twice), [
    'jbus.yaml:16: channel status has the key of frames: give one of them a key of its own',
  ]);
});

test('all mistakes are told at once', () => {
  const text = changed('persistent: true', 'persistent: maybe').replace('blender: 2', 'blender: two');
  assert.equal(complaintsOf(text).length, 2);
});

test('what is no YAML, no map or nearly empty is told as well, and nothing else is thrown', () => {
  assert.match(complaintsOf('a: [')[0]!, /^jbus\.yaml:1: /);
  assert.match(
    complaintsOf('')[0]!,
    /^jbus\.yaml:1: the file must be a map of namespace, defaults, nodes, channels$/,
  );
  assert.match(complaintsOf('- 1')[0]!, /the file must be a map/);
  for (const text of [
    'nodes:',
    'nodes: {}',
    'channels: 3',
    'channels: [3]',
    'channels: [{}]',
    'nodes: {a: }\nchannels: []',
  ]) {
    assert(complaintsOf(text).length > 0, text);
  }
});
