import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseFlags } from '../../../examples/light-search/flags.js';
import { leftovers, NOTHING_LEFT } from '../../render/support/renderers.js';
import { runProgram } from '../../support/example.js';

interface History {
  readonly found: readonly {
    readonly method: string;
    readonly score: number;
    readonly lights: readonly object[];
    readonly generations: readonly { readonly best: number; readonly failed: number }[];
  }[];
}

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'light-search-'));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

async function historyIn(out: string): Promise<History> {
  return JSON.parse(await readFile(path.join(out, 'history.json'), 'utf8')) as History;
}

test('on a farm of its own both searches come nearer to the hidden lights, and leave images and a chart', async (t) => {
  const out = await folder(t);
  const words = ['--population', '8', '--generations', '6', '--size', '16', '--samples', '4', '--out', out];
  const program = await runProgram(t, 'light-search', 'main', words);
  assert.equal(await program.exitCode, 0);
  const { found } = await historyIn(out);
  assert.deepEqual(
    found.map(({ method }) => method),
    ['genetic', 'swarm'],
  );
  for (const { generations, score, lights } of found) {
    assert.equal(generations.length, 6);
    assert.ok(generations.every(({ failed }) => failed === 0));
    assert.ok(generations.at(-1)!.best > generations[0]!.best);
    assert.equal(score, generations.at(-1)!.best);
    assert.equal(lights.length, 2);
  }
  for (const name of ['target', 'best-genetic', 'best-swarm'])
    assert.equal((await readFile(path.join(out, `${name}.png`))).toString('latin1', 1, 4), 'PNG');
  const chart = await readFile(path.join(out, 'convergence.svg'), 'utf8');
  assert.match(chart, /^<svg/);
  for (const name of ['genetic: best', 'swarm: mean']) assert.ok(chart.includes(name));
  assert.deepEqual(leftovers(), NOTHING_LEFT);
});

test('a score of one’s own judges the images', async (t) => {
  const out = await folder(t);
  const score = path.join(out, 'red.mjs');
  await writeFile(
    score,
    'export default ({ pixels }) => pixels.filter((_, i) => i % 3 === 0).reduce((a, b) => a + b);\n',
  );
  const size = ['--population', '4', '--generations', '2', '--size', '4', '--samples', '1'];
  const words = [...size, '--method', 'genetic', '--score', score, '--out', out];
  const program = await runProgram(t, 'light-search', 'main', words);
  assert.equal(await program.exitCode, 0);
  const [genetic] = (await historyIn(out)).found;
  assert.ok(genetic!.score > 1); // a sum over pixels; the built-in scores stay below
});

test('a flag that cannot be is named', () => {
  assert.throws(() => parseFlags(['--method', 'luck']), /--method is genetic, swarm or both, not luck/);
  assert.throws(() => parseFlags(['--population', '3']), /--population is a whole number from 4/);
  assert.throws(() => parseFlags(['--lights', '']), /--lights/);
  assert.throws(() => parseFlags(['--speed', '1']), /--speed/);
  assert.equal(parseFlags(['--help']), null);
});
