// A scheduler with everything it wants done written down, and checked as it comes: one result per image, one end per job,
// no image with two nodes at once that could both count.

import assert from 'node:assert/strict';
import type { Answer, SchedulerEffect } from '../../../../render/main/effects.js';
import type { JobRequest } from '../../../../render/main/job.js';
import { Scheduler } from '../../../../render/main/scheduler.js';
import type { SchedulerOptions } from '../../../../render/main/scheduler-options.js';
import type { NodeBeat, NodeFacts } from '../../../../render/main/worker-nodes.js';
import { seededRandom } from '../../../support/seeded-random.js';

type Of<K extends SchedulerEffect['kind']> = Extract<SchedulerEffect, { kind: K }>;
export type Dispatch = Of<'dispatch'>;

export const RENDERED: Answer = { kind: 'rendered', imageMs: 100 };

export class Desk {
  readonly scheduler: Scheduler;
  now: number = 0;
  /** Dispatched and neither answered nor canceled, oldest first. */
  open: Dispatch[] = [];
  readonly dispatches: Dispatch[] = [];
  readonly canceled: Dispatch[] = [];
  readonly blocked: Of<'blocked'>[] = [];
  readonly ends: Map<number, Of<'finished'>> = new Map();
  /** Off where answers get lost: then the scheduler gives a task to others while its old node may be at it. */
  checksOverlap: boolean = true;
  readonly #results = new Map<number, Map<number, Of<'rendered'> | Of<'failed'>>>();
  readonly #images = new Map<number, number>();

  constructor(options: SchedulerOptions = {}, random: () => number = seededRandom(7)) {
    this.scheduler = new Scheduler(random, options);
  }

  node(id: number, slots = 1, more: Partial<NodeFacts> = {}): void {
    this.take(this.scheduler.nodeAdded(this.now, { id, slots, weight: 1, ...more }));
  }

  gone(id: number): void {
    // Whatever it was doing may be given to others now.
    this.open = this.open.filter(({ node }) => node !== id);
    this.take(this.scheduler.nodeRemoved(this.now, id));
  }

  beat(id: number, beat: NodeBeat): void {
    this.take(this.scheduler.nodeBeat(this.now, id, beat));
  }

  submit(images: number, more: Partial<JobRequest> = {}): number {
    const { job, isNew, effects } = this.scheduler.submit(this.now, { driver: 1, images, ...more });
    if (isNew) this.#images.set(job, images);
    this.take(effects);
    return job;
  }

  /** Answers one dispatch, by default the oldest. */
  answer(answer: Answer = RENDERED, dispatch: Dispatch | undefined = this.open[0]): Dispatch {
    assert(dispatch !== undefined, 'something was dispatched');
    this.open = this.open.filter((other) => other !== dispatch);
    this.take(this.scheduler.answered(this.now, dispatch.node, dispatch.attempt, answer));
    return dispatch;
  }

  /** Answers until nothing is under way any more. */
  finishAll(answer: (dispatch: Dispatch) => Answer = () => RENDERED): void {
    for (;;) {
      while (this.open.length > 0) this.answer(answer(this.open[0]!));
      const next = this.scheduler.nextAt;
      if (next === null || [...this.#images.keys()].every((job) => this.ends.has(job))) return;
      this.advance(next - this.now);
    }
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.scheduler.nextAt;
      if (next === null || next > until) break;
      this.now = Math.max(this.now, next);
      this.take(this.scheduler.tick(this.now));
    }
    this.now = until;
  }

  /** One letter per image: r rendered, f failed, - nothing yet. */
  results(job: number): string {
    const results = this.#results.get(job);
    return Array.from(
      { length: this.#images.get(job)! },
      (_, index) => ({ rendered: 'r', failed: 'f', none: '-' })[results?.get(index)?.kind ?? 'none'],
    ).join('');
  }

  result(job: number, index: number): Of<'rendered'> | Of<'failed'> | undefined {
    return this.#results.get(job)?.get(index);
  }

  take(effects: readonly SchedulerEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'dispatch':
          this.#dispatched(effect);
          break;
        case 'cancel':
          this.#canceled(effect);
          break;
        case 'rendered':
        case 'failed':
          this.#resultOf(effect);
          break;
        case 'blocked':
          this.blocked.push(effect);
          break;
        case 'finished':
          this.#ended(effect);
          break;
        default:
          effect satisfies never;
      }
    }
  }

  /** A job's failed images are to be rendered again. */
  requeued(job: number): void {
    this.ends.delete(job);
    for (const [index, result] of this.#results.get(job)!)
      if (result.kind === 'failed') this.#results.get(job)!.delete(index);
  }

  #dispatched(effect: Dispatch): void {
    for (let at = 0; at < effect.count; at += 1)
      assert.equal(this.result(effect.job, effect.first + at), undefined, 'a done image is not sent again');
    for (const { job, first, count } of this.checksOverlap ? this.open : []) {
      const apart =
        job !== effect.job || first + count <= effect.first || effect.first + effect.count <= first;
      assert(apart, 'no image is under way twice');
    }
    this.open.push(effect);
    this.dispatches.push(effect);
  }

  #canceled({ node, attempt }: Of<'cancel'>): void {
    const dispatch = this.open.find((other) => other.attempt === attempt && other.node === node);
    if (dispatch === undefined) return;
    this.canceled.push(dispatch);
    this.open = this.open.filter((other) => other !== dispatch);
  }

  #resultOf(effect: Of<'rendered'> | Of<'failed'>): void {
    let results = this.#results.get(effect.job);
    if (results === undefined) this.#results.set(effect.job, (results = new Map()));
    assert(!this.ends.has(effect.job), 'no result comes after the end of its job');
    for (let index = effect.first; index < effect.first + effect.count; index += 1) {
      assert(!results.has(index), `image ${index} has one result`);
      assert(index < (this.#images.get(effect.job) ?? Number.POSITIVE_INFINITY));
      results.set(index, effect);
    }
  }

  #ended(effect: Of<'finished'>): void {
    assert(!this.ends.has(effect.job), 'a job ends once');
    this.ends.set(effect.job, effect);
    const kinds = [...(this.#results.get(effect.job)?.values() ?? [])].map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === 'rendered').length, effect.done);
    assert.equal(kinds.filter((kind) => kind === 'failed').length, effect.failed);
  }
}
