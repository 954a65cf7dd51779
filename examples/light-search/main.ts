// Looks for the lights that make the best image, by a genetic algorithm and by a particle swarm: what render farms of
// this kind were first built for. A generation is one job; its images are rendered side by side.
//   node dist/examples/light-search/main.js --help

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { encodeImage, type Light, type Pixels, RenderDriver } from 'reactor-net/render';
import { convergenceChart } from './convergence-chart.js';
import { farmRender, renderLights } from './farm-render.js';
import { type Flags, type Method, parseFlags, USAGE } from './flags.js';
import { GeneticSearch } from './genetic-search.js';
import { COORDINATES_PER_LIGHT, lightsAt, lightText } from './light-point.js';
import { startLocalFarm } from './local-farm.js';
import { ParticleSwarm } from './particle-swarm.js';
import { type Generation, runSearch, type SearchRun } from './run-search.js';
import { brightness, likeness, type Score, scoreOf } from './scores.js';
import { randomPoint, type Search } from './search.js';
import { seededChance } from './seeded-chance.js';

const LOCAL_RENDERERS = 2;
const HALF = 0.5;

async function main(flags: Flags): Promise<void> {
  const local = flags.main === null ? await startLocalFarm(LOCAL_RENDERERS) : null;
  try {
    const driver = await RenderDriver.connect({ main: flags.main ?? local!.address });
    try {
      await search(driver, flags);
    } finally {
      await driver.close();
    }
  } finally {
    await local?.close();
  }
}

async function search(driver: RenderDriver, flags: Flags): Promise<void> {
  const picture = { side: flags.size, samples: flags.samples };
  await mkdir(flags.out, { recursive: true });
  const score = await chooseScore(driver, flags);
  const runs = new Map<Method, SearchRun>();
  for (const method of flags.methods) {
    const run = await runSearch({
      search: searchOf(method, flags),
      render: farmRender(driver, picture),
      score,
      generations: flags.generations,
      onGeneration: (generation) => console.log(`${method}  ${generationText(generation)}`),
    });
    runs.set(method, run);
    if (run.found === null) {
      console.log(`${method}: not one image could be judged`);
      continue;
    }
    const { point, image } = run.found;
    await writeImage(flags, `best-${method}`, image);
    console.log(`${method}: ${run.found.score.toFixed(4)} with ${lightsAt(point).map(lightText).join('; ')}`);
  }
  await writeHistory(flags, runs);
  console.log(`images, history and chart are in ${flags.out}`);
}

function searchOf(method: Method, { lights, population, seed }: Flags): Search {
  const size = { dimensions: lights * COORDINATES_PER_LIGHT, population, chance: seededChance(seed) };
  return method === 'genetic' ? new GeneticSearch(size) : new ParticleSwarm(size);
}

async function chooseScore(driver: RenderDriver, flags: Flags): Promise<Score> {
  if (flags.score === 'brightness') return brightness(HALF);
  if (flags.score !== 'likeness') return await scoreOf(flags.score);
  // Other numbers than the searches draw.
  const hidden = randomPoint(flags.lights * COORDINATES_PER_LIGHT, seededChance(~flags.seed));
  const lights: readonly (readonly Light[])[] = [lightsAt(hidden)];
  const [target = null] = await renderLights(driver, lights, { side: flags.size, samples: flags.samples });
  if (target === null) throw new Error('the farm did not render the image to look for');
  await writeImage(flags, 'target', target);
  return likeness(target);
}

async function writeImage({ out }: Flags, name: string, image: Pixels): Promise<void> {
  await writeFile(path.join(out, `${name}.png`), encodeImage(image));
}

async function writeHistory(flags: Flags, runs: ReadonlyMap<Method, SearchRun>): Promise<void> {
  const histories = new Map(Array.from(runs, ([method, { generations }]) => [method, generations]));
  const found = Array.from(runs, ([method, run]) => ({
    method,
    score: run.found?.score ?? null,
    lights: run.found === null ? null : lightsAt(run.found.point),
    generations: run.generations,
  }));
  await writeFile(path.join(flags.out, 'history.json'), `${JSON.stringify({ flags, found }, null, 2)}\n`);
  const title = `${flags.lights} lights, ${flags.population} images a generation`;
  await writeFile(path.join(flags.out, 'convergence.svg'), await convergenceChart(histories, title));
}

function generationText({ number, best, mean, failed }: Generation): string {
  const lost = failed === 0 ? '' : `  ${failed} without an image`;
  return `generation ${String(number).padStart(4)}  best ${best.toFixed(4)}  mean ${mean.toFixed(4)}${lost}`;
}

let flags: Flags | null;
try {
  flags = parseFlags(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message); // parseArgs throws nothing else
  process.exit(2);
}
if (flags === null) console.log(USAGE);
else await main(flags);
