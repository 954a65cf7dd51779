// That every image of a request has exactly one result, with the pixels that belong to it: counted as results come.

import assert from 'node:assert/strict';
import { Code, type RenderJob } from '../../../render/index.js';
import type { Received } from '../main/support/test-farm.js';
import { traced, type Wanted } from './traced.js';

/** Of a request with one light set for each image. */
export class OneResultEach {
  readonly #lights: readonly (readonly number[])[];
  readonly #wanted: Omit<Wanted, 'lights'>;
  readonly #seen = new Set<number>();
  /** By light set: many images have the same. */
  readonly #expected = new Map<string, Uint8Array>();

  constructor(lights: readonly (readonly number[])[], wanted: Omit<Wanted, 'lights'> = {}) {
    this.#lights = lights;
    this.#wanted = wanted;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** One result has come. */
  take(index: number, pixels: Uint8Array): void {
    const lights = this.#lights[index];
    assert(lights !== undefined, `image ${index} was not asked for`);
    assert(!this.#seen.has(index), `image ${index} came twice`);
    this.#seen.add(index);
    const key = lights.join();
    const expected = this.#expected.get(key) ?? traced({ ...this.#wanted, lights });
    this.#expected.set(key, expected);
    assert.deepEqual(new Uint8Array(pixels), expected, `image ${index} is another one`);
  }

  /** No more will come. */
  end(): void {
    const lost = this.#lights.flatMap((_, index) => (this.#seen.has(index) ? [] : [index]));
    assert.deepEqual(lost, [], 'images without a result');
  }
}

/**
 * Takes all images of a job; `onImage` is called after each with how many have come.
 * @returns the number of the job at the farm
 */
export async function takeAll(
  job: RenderJob,
  results: OneResultEach,
  onImage: (taken: number) => unknown = () => {},
): Promise<bigint> {
  for await (const result of job) {
    assert(result.kind === 'rendered', `image ${result.index}: ${JSON.stringify(result)}`);
    results.take(result.index, result.pixels);
    await onImage(results.size);
  }
  results.end();
  const { code, rendered, missing, job: id } = await job.summary;
  assert.deepEqual([code, rendered, missing], [Code.OK, results.size, 0]);
  return id!; // it was rendered
}

/** What a stream of the contract brought: `received` has refused what came twice. */
export function checkReceived({ status, images, tasks }: Received, results: OneResultEach): void {
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(tasks.size, images.size);
  for (const [index, pixels] of images) results.take(index, pixels);
  results.end();
}
