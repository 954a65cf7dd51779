// A whole cluster in one thread and on a clock of its own: a scheduler, worker nodes that render, fail, freeze, die and come
// back, a network that delays, loses and repeats answers, and drivers that change their minds. One seed, one history.

import assert from 'node:assert/strict';
import { ErrCode, SerialAllocator } from '../../../../render/index.js';
import type { Answer } from '../../../../render/main/effects.js';
import { type Registration, Registrations } from '../../../../render/main/registrations.js';
import type { Serial } from '../../../../render/proto/render.js';
import { SeededRandom } from '../../../support/seeded-random.js';
import { Desk, type Dispatch } from './desk.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

interface SimulatedNode {
  readonly slots: number;
  readonly imageMs: number;
  /** Chance that an image fails here. */
  failing: number;
  serial: Serial | null;
  key: number;
  isAlive: boolean;
  frozenUntil: number;
  isDraining: boolean;
  /** Which life of the process this is: what an earlier one was at is gone. */
  life: number;
  readonly at: Map<number, Dispatch>;
}

const BEAT_MS = 1000;

export class Farm {
  readonly desk: Desk;
  readonly random: SeededRandom;
  readonly #nodes: SimulatedNode[] = [];
  readonly #registrations: Registrations<number, 'node'>;
  readonly #faultsUntil: number;
  readonly jobs: number[] = [];
  #events: Event[] = [];
  #order = 0;
  #sent = 0;
  faults: number = 0;

  constructor(seed: number, nodes: number, faultsUntil: number) {
    this.random = new SeededRandom(seed);
    this.desk = new Desk({}, () => this.random.fraction());
    this.desk.checksOverlap = false;
    this.#faultsUntil = faultsUntil;
    const epoch = () => BigInt(this.random.integer(1, 2 ** 30));
    this.#registrations = new Registrations('node', new SerialAllocator(epoch, { node: nodes + 2 }));
    for (let at = 0; at < nodes; at += 1) this.#addNode();
    this.#every(BEAT_MS, () => {
      for (const { key } of this.#registrations.tick(this.desk.now)) this.#told(() => this.desk.gone(key));
    });
  }

  after(ms: number, run: () => void): void {
    this.#order += 1;
    this.#events.push({ at: this.desk.now + ms, order: this.#order, run });
  }

  /** Lets time pass up to `until`, or to when `isDone` says so. */
  run(until: number, isDone: () => boolean = () => false): void {
    while (this.desk.now < until && !isDone()) {
      const next = this.#next();
      const due = Math.min(next?.at ?? until, until);
      this.#told(() => this.desk.advance(due - this.desk.now));
      if (next === null || next.at > until) return;
      this.#events.splice(this.#events.indexOf(next), 1);
      next.run();
    }
  }

  submit(images: number, driver: number, priority: number): void {
    this.#told(() => {
      try {
        this.jobs.push(this.desk.submit(images, { driver, priority, kind: 'k' }));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'RENDER_OVERLOAD');
      }
    });
  }

  act(what: (desk: Desk) => void): void {
    this.#told(() => what(this.desk));
  }

  /** After the faults: every node is up, well and registered. */
  heal(): void {
    for (const node of this.#nodes) {
      node.failing = 0;
      node.frozenUntil = 0;
      node.isDraining = false;
      if (!node.isAlive) this.#start(node);
    }
  }

  #next(): Event | null {
    let next: Event | null = null;
    for (const event of this.#events)
      if (next === null || event.at < next.at || (event.at === next.at && event.order < next.order))
        next = event;
    return next;
  }

  #every(ms: number, run: () => void): void {
    this.after(ms, () => {
      run();
      this.#every(ms, run);
    });
  }

  #isFaulty(chance: number): boolean {
    const isFaulty = this.desk.now < this.#faultsUntil && this.random.chance(chance);
    if (isFaulty) this.faults += 1;
    return isFaulty;
  }

  #addNode(): void {
    const { random } = this;
    const node: SimulatedNode = {
      slots: random.integer(1, 4),
      imageMs: random.integer(20, 200),
      failing: random.chance(0.2) ? 1 : random.pick([0, 0, 0.05, 0.2]),
      serial: null,
      key: 0,
      isAlive: false,
      frozenUntil: 0,
      isDraining: false,
      life: 0,
      at: new Map(),
    };
    this.#nodes.push(node);
    this.#start(node);
    this.#every(BEAT_MS, () => this.#turn(node));
  }

  #start(node: SimulatedNode): void {
    node.isAlive = true;
    node.life += 1;
    node.at.clear();
    node.isDraining = false;
    node.serial = null;
    this.#register(node);
  }

  #register(node: SimulatedNode): void {
    let registration: Registration<number>;
    try {
      registration = this.#registrations.register(node.slots);
    } catch {
      return; // Its old id is out until its lives are used up: it asks again with the next beat.
    }
    node.serial = registration.serial;
    node.key = registration.key;
    this.#told(() => this.desk.node(registration.key, node.slots));
  }

  /** One second of a node: something happens to it, or it beats. */
  #turn(node: SimulatedNode): void {
    const { desk } = this;
    if (!node.isAlive) {
      if (desk.now >= this.#faultsUntil || this.random.chance(0.3)) this.#start(node);
      return;
    }
    if (this.#isFaulty(0.03)) {
      node.isAlive = false;
      return;
    }
    if (this.#isFaulty(0.03)) node.frozenUntil = desk.now + this.random.integer(500, 12_000);
    if (this.#isFaulty(0.03)) node.isDraining = !node.isDraining;
    if (desk.now < node.frozenUntil || this.#isFaulty(0.05)) return;
    const known = node.serial === null ? null : this.#registrations.beat(node.serial);
    if (known === null) {
      this.#register(node);
      return;
    }
    const running = [...node.at.keys()];
    this.#told(() =>
      desk.beat(known.key, { running, load: this.random.fraction(), draining: node.isDraining }),
    );
  }

  /** Whatever the scheduler wants sent goes out. */
  #told(run: () => void): void {
    run();
    const { dispatches } = this.desk;
    for (; this.#sent < dispatches.length; this.#sent += 1) this.#send(dispatches[this.#sent]!);
  }

  #send(dispatch: Dispatch): void {
    const node = this.#nodes.find(({ key, isAlive }) => key === dispatch.node && isAlive);
    const delay = this.random.integer(0, 5);
    if (node === undefined || this.#isFaulty(0.01)) {
      // The connection is refused or breaks, which may be seen soon or by missing beats only.
      if (this.random.chance(0.5)) this.after(delay, () => this.#answer(dispatch, { kind: 'lost' }));
      return;
    }
    if (this.#isFaulty(0.02)) {
      this.after(delay, () => this.#answer(dispatch, { kind: 'refused', retryAfterMs: 300 }));
      return;
    }
    node.at.set(dispatch.attempt, dispatch);
    const { life } = node;
    const ms = delay + node.imageMs * dispatch.count * (0.5 + this.random.fraction());
    this.after(ms, () => this.#rendered(node, life, dispatch, ms));
  }

  #rendered(node: SimulatedNode, life: number, dispatch: Dispatch, ms: number): void {
    if (!node.isAlive || node.life !== life) return;
    if (this.desk.now < node.frozenUntil) {
      this.after(node.frozenUntil - this.desk.now, () => this.#rendered(node, life, dispatch, ms));
      return;
    }
    node.at.delete(dispatch.attempt);
    if (this.#isFaulty(0.01)) return; // The answer gets lost.
    const answer = this.#outcome(node, dispatch, ms);
    this.#answer(dispatch, answer);
    if (this.#isFaulty(0.02)) this.after(this.random.integer(0, 3000), () => this.#answer(dispatch, answer));
  }

  #outcome(node: SimulatedNode, dispatch: Dispatch, ms: number): Answer {
    const failures = Array.from({ length: dispatch.count }, (_, at) => dispatch.first + at)
      .filter(() => this.#isFaulty(node.failing))
      .map((index) => ({ index, code: ErrCode.EC_CRASHED, error: 'crashed' }));
    if (failures.length === dispatch.count && this.random.chance(0.5))
      return { kind: 'failed', code: ErrCode.EC_RENDER_FAILED, error: 'failed' };
    return { kind: 'rendered', imageMs: ms / dispatch.count, failures };
  }

  #answer(dispatch: Dispatch, answer: Answer): void {
    this.#told(() => {
      const effects = this.desk.scheduler.answered(this.desk.now, dispatch.node, dispatch.attempt, answer);
      for (const effect of effects) {
        if (effect.kind !== 'rendered') continue;
        assert.equal(effect.attempt, dispatch.attempt, 'pixels come from the answer that was told');
        assert(effect.first >= dispatch.first);
        assert(effect.first + effect.count <= dispatch.first + dispatch.count);
      }
      this.desk.take(effects);
    });
  }
}
