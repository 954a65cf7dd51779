import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/until.js';
import { LoadMeter } from '../../../render/worker/load-meter.js';
import { cpuShare, cpuTimes, gpuProcessUse, gpuUse, memoryUse } from '../../../render/worker/host-load.js';
import { LoadAverage, LoadWindow } from '../../../render/worker/load-window.js';

test('a window is the mean of the last samples, and an average fades', () => {
  const window = new LoadWindow(3);
  assert.equal(window.value, 0);
  const means = [3, 6, 9, 12].map((sample) => {
    window.add(sample);
    return window.value;
  });
  assert.deepEqual(means, [3, 4.5, 6, 9]);
  const average = new LoadAverage(3);
  const values = [1, 0, 0].map((sample) => {
    average.add(sample);
    return average.value;
  });
  assert.deepEqual(values, [1, 0.5, 0.25]);
  assert.throws(() => new LoadWindow(0), { code: 'RENDER_OPTION_INVALID' });
});

test('CPU use is what was not idle between two readings, waiting for disks not counted', () => {
  const before = cpuTimes('cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1\n')!;
  const after = cpuTimes('cpu  160 10 70 900 60 5 5 10 0 0\ncpu0 1 1 1 1\n')!;
  assert.deepEqual(before, { busy: 150, total: 1000 });
  assert.equal(cpuShare(before, after), 110 / 220);
  assert.equal(cpuShare(before, before), null);
  assert.equal(cpuTimes('intr 5'), null);
});

test('memory is judged by what is available, and GPUs by what nvidia-smi tells', () => {
  const meminfo = 'MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n';
  assert.deepEqual(memoryUse(meminfo), { share: 0.75, availableBytes: 256_000 });
  assert.equal(memoryUse('MemTotal: 5 kB\n'), null);
  assert.deepEqual(gpuUse('35, 512, 2048, 61\n[N/A], 1, 2, 3\n\n'), [
    { share: 0.35, memoryShare: 0.25, celsius: 61 },
  ]);
});

test('a process is told with its share of the cards, as far as nvidia-smi knows it', async () => {
  const pmon = `# gpu         pid  type    sm    mem    enc    dec    command
# Idx           #   C/G     %      %      %      %    name
    0       4711     C    45     10      -      -    blender
    0       4712     C     -      -      -      -    blender
    1       4711     C    30      5      -      -    blender
    1          -     -     -      -      -      -    -
`;
  assert.deepEqual([...gpuProcessUse(pmon)], [[4711, 0.75]]);
  assert.equal(gpuProcessUse('').size, 0);
  let asked = 0;
  const source = {
    stat: () => '',
    meminfo: () => '',
    gpus: () => Promise.resolve('35, 512, 2048, 61\n'),
    gpuProcesses: () => {
      asked += 1;
      return Promise.resolve(pmon);
    },
    cores: 2,
  };
  const meter = new LoadMeter('window', source);
  meter.sample(0, 0);
  await until(() => asked === 1 && meter.gpuOf(4711) === 0.75);
  assert.equal(meter.gpuOf(4712), 0);
  const without = new LoadMeter('window', { ...source, gpus: () => Promise.resolve(null) });
  without.sample(0, 0);
  await new Promise(setImmediate);
  assert.equal(asked, 1, 'nobody is asked about processes where there is no card');
});
