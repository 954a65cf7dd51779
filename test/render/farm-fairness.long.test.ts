// A request of a thousand images and small ones beside it: how many images of the large one are rendered while a small one
// is, which says how long it waits, whatever the machine is doing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import { RenderDriver } from '../../render/index.js';
import { eventually, startFarm } from './support/farm-processes.js';
import { OneResultEach, takeAll } from './support/one-result.js';
import { lightsFor, SIZE } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const SLOTS = 4;
/** A worker node has two images for each renderer in its hands; they are rendered first. */
const HANDED = 2 * SLOTS;
/** Whose turn it is may just have been the large one's. */
const TURN = SLOTS;
/** Rendered while the news of the small one's end goes to its driver, and the question how far the large one is to the farm. */
const ON_THE_WAY = 3 * SLOTS;
const ONE = lightsFor(1);

test('a small request is done in about the time of its own image, however large the one beside it is', {
  skip,
}, async (t) => {
  const { target, farm } = await startFarm(t, {
    workerFlags: ['--min', String(SLOTS), '--max', String(SLOTS), '--builtin-sleep', '100ms'],
  });
  await using large = await RenderDriver.connect({ main: target, name: 'large' });
  await using small = await RenderDriver.connect({ main: target, name: 'small' });
  const doneOf = async (id: bigint): Promise<number> => (await farm.job(id, { images: false })).job.done;
  /** How many images of the large one are rendered until a small request is over. */
  const meanwhile = async (id: bigint, driver: RenderDriver, priority = 0): Promise<number> => {
    const before = await doneOf(id);
    await takeAll(driver.render({ ...SIZE, lights: ONE, priority }), new OneResultEach(ONE));
    return (await doneOf(id)) - before;
  };

  const lights = lightsFor(1000);
  const job = large.render({ ...SIZE, lights });
  const whole = takeAll(job, new OneResultEach(lights));
  await eventually(async () => job.progress.rendered > 2 * HANDED);
  const id = job.progress.job!;

  await t.test('of the same priority', async () => {
    for (let round = 0; round < 5; round += 1) {
      const images = await meanwhile(id, small);
      assert(images <= HANDED + TURN + ON_THE_WAY, `${images} images of the large one meanwhile`);
    }
  });
  await t.test('of a higher priority: after what worker nodes have in their hands', async () => {
    for (let round = 0; round < 5; round += 1) {
      const images = await meanwhile(id, small, 5);
      assert(images <= HANDED + ON_THE_WAY, `${images} images of the large one meanwhile`);
    }
  });
  await t.test('of the same driver, too', async () => {
    const images = await meanwhile(id, large);
    assert(images <= HANDED + TURN + ON_THE_WAY, `${images} images of the large one meanwhile`);
  });
  await t.test('several at once share with the large one', async () => {
    const before = await doneOf(id);
    const five = lightsFor(5);
    await Promise.all(
      Array.from({ length: 3 }, () =>
        takeAll(small.render({ ...SIZE, lights: five }), new OneResultEach(five)),
      ),
    );
    const images = (await doneOf(id)) - before;
    // Two drivers have turns of the same size: as many for the large one as for the fifteen.
    assert(images <= HANDED + 15 + 2 * TURN + ON_THE_WAY, `${images} images of the large one meanwhile`);
  });
  assert(job.progress.rendered < 1000, 'the large one still went on');
  await t.test('of a lower priority: after all of the large one', async () => {
    const low = small.render({ ...SIZE, lights: ONE, priority: -1 });
    await takeAll(low, new OneResultEach(ONE));
    assert((await doneOf(id)) >= 1000 - HANDED);
  });
  await whole;
});

test('a priority that is changed on the way holds from then on', { skip }, async (t) => {
  const { target, farm } = await startFarm(t, { workerFlags: ['--builtin-sleep', '50ms'] });
  await using driver = await RenderDriver.connect({ main: target });
  const lights = lightsFor(150);
  const first = driver.render({ ...SIZE, lights, priority: 1 });
  const second = driver.render({ ...SIZE, lights });
  const results = [new OneResultEach(lights), new OneResultEach(lights)] as const;
  let secondWhenRaised = -1;
  let firstWhenSecondEnded = -1;
  await Promise.all([
    takeAll(first, results[0], async (taken) => {
      if (taken !== 20) return;
      secondWhenRaised = results[1].size;
      await eventually(async () => second.progress.job !== null);
      const [outcome] = await farm.setPriority(second.progress.job!, 2);
      assert.equal(outcome?.error, '');
    }),
    takeAll(second, results[1], (taken) => {
      if (taken === 150) firstWhenSecondEnded = results[0].size;
    }),
  ]);
  assert(secondWhenRaised <= 4, `${secondWhenRaised} images of the second one before it was raised`);
  assert(firstWhenSecondEnded < 150, 'the first one was overtaken');
});
