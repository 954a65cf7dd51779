// The worker nodes as the scheduler sees them: weight, slots, what is in their hands, and which one gets the next task.
// Pure. Room is counted in work: an image is one piece of it, a very short one a small share. An attempt that was given up
// keeps its room until the node says that it is over, so that a frozen node does not gather more and more.

import assert from 'node:assert/strict';
import { SmoothWrr } from '../smooth-wrr.js';
import type { Deadline } from './deadlines.js';
import type { Attempt, DeadlineOwner, Job, Task } from './job.js';

/** The work that an image is, unless it is known to be short. Whole numbers add up without error. */
export const IMAGE_WORK = 1024;
/** Weights of 1 to 3 are too coarse to be lowered by load. */
const WEIGHT_SCALE = 100;
/** Where everything renders, every node is at full load: they still share by weight. */
const LOAD_MAX = 0.99;
/** The weight that failures took is back after some ten picks. */
const WEIGHT_RECOVERY = 10;

export interface NodeFacts {
  /** The node's registration, by a key that is never used twice. */
  readonly id: number;
  readonly weight: number;
  readonly slots: number;
  readonly tags?: readonly string[];
}

export interface NodeBeat {
  /** From 0 to 1; lowers the weight above 0.6. */
  readonly load?: number;
  readonly slots?: number;
  readonly draining?: boolean;
  /** The attempts that it has not answered yet; left out when it does not tell. */
  readonly running?: readonly number[];
}

export interface WorkerNode {
  readonly id: number;
  readonly weight: number;
  readonly tags: ReadonlySet<string>;
  slots: number;
  isDraining: boolean;
  /** Until then it gets nothing, because it refused work. */
  rest: Deadline<DeadlineOwner> | null;
  /** Attempts in a row of which nobody knows how they ended. */
  lostInARow: number;
  /** Images in its hands, and the work that they are. */
  handed: number;
  handedWork: number;
  readonly attempts: Map<number, Attempt>;
  /** Counted in `openNodes`. */
  isOpen: boolean;
}

export class WorkerNodes {
  readonly #byId = new Map<number, WorkerNode>();
  readonly #wrr: SmoothWrr<WorkerNode> = new SmoothWrr({ recovery: WEIGHT_RECOVERY });
  readonly #handedPerSlot: number;
  #open = 0;
  // What the next pick is for; fields, so that a pick makes no closure.
  #job: Job | null = null;
  #avoided: ReadonlySet<number> | null = null;

  constructor(handedPerSlot: number) {
    this.#handedPerSlot = handedPerSlot;
  }

  add(facts: NodeFacts): WorkerNode {
    const node: WorkerNode = {
      id: facts.id,
      weight: facts.weight,
      tags: new Set(facts.tags),
      slots: facts.slots,
      isDraining: false,
      rest: null,
      lostInARow: 0,
      handed: 0,
      handedWork: 0,
      attempts: new Map(),
      isOpen: false,
    };
    this.#wrr.add(node, facts.weight * WEIGHT_SCALE);
    this.#wrr.setPresent(node, false);
    this.#byId.set(node.id, node);
    this.refresh(node);
    return node;
  }

  remove(node: WorkerNode): void {
    this.#byId.delete(node.id);
    this.#wrr.remove(node);
    if (node.isOpen) this.#open -= 1;
    node.isOpen = false;
  }

  get(id: number): WorkerNode | undefined {
    return this.#byId.get(id);
  }

  values(): Iterable<WorkerNode> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Nodes that could take something now. */
  get openNodes(): number {
    return this.#open;
  }

  /** To be called after anything changed that decides whether a node can take something. */
  refresh(node: WorkerNode): void {
    const isOpen = !node.isDraining && node.rest === null && this.room(node, IMAGE_WORK) > 0;
    if (isOpen === node.isOpen || !this.#byId.has(node.id)) return;
    node.isOpen = isOpen;
    this.#open += isOpen ? 1 : -1;
    this.#wrr.setPresent(node, isOpen);
  }

  /**
   * Images of so much work each that may still be handed to it. Any room at all is room for one that is not short, or as
   * many short ones: otherwise they would soon travel one by one, each as a few others come back.
   */
  room(node: WorkerNode, imageWork: number): number {
    const left = Math.floor(node.slots * this.#handedPerSlot) * IMAGE_WORK - node.handedWork;
    return left <= 0 ? 0 : Math.floor((Math.ceil(left / IMAGE_WORK) * IMAGE_WORK) / imageWork);
  }

  handedOut(node: WorkerNode, attempt: Attempt): void {
    node.attempts.set(attempt.id, attempt);
    node.handed += attempt.count;
    node.handedWork += attempt.work;
    this.refresh(node);
  }

  /** The attempt is over: its room is free. */
  givenBack(node: WorkerNode, attempt: Attempt): void {
    node.attempts.delete(attempt.id);
    node.handed -= attempt.count;
    node.handedWork -= attempt.work;
    assert(node.handed >= 0 && node.handedWork >= 0, 'a node gives back what it was handed');
    this.refresh(node);
  }

  setLoad(node: WorkerNode, load: number): void {
    this.#wrr.setLoad(node, Math.min(load, LOAD_MAX));
  }

  failed(node: WorkerNode): void {
    this.#wrr.failed(node);
  }

  /** The node for some images of a job; null when none that may render them has room. */
  pick(job: Job, task: Task | null): WorkerNode | null {
    this.#job = job;
    this.#avoided = task === null ? null : this.#avoid(job, task);
    return this.#wrr.pick(this.#mayTake);
  }

  /** Nodes that take new work and have the job's tag: all of them, and those among them that are not blocked for the job. */
  countFor(job: Job): { able: number; unblocked: number } {
    let able = 0;
    let unblocked = 0;
    for (const node of this.#byId.values()) {
      if (node.isDraining || !hasTag(node, job.tag)) continue;
      able += 1;
      if (!job.blocked.has(node.id)) unblocked += 1;
    }
    return { able, unblocked };
  }

  hasTag(tag: string): boolean {
    for (const node of this.#byId.values()) if (!node.isDraining && hasTag(node, tag)) return true;
    return false;
  }

  slots(): number {
    let slots = 0;
    for (const node of this.#byId.values()) slots += node.slots;
    return slots;
  }

  readonly #mayTake = (node: WorkerNode): boolean => {
    const job = this.#job!;
    return hasTag(node, job.tag) && !job.blocked.has(node.id) && this.#avoided?.has(node.id) !== true;
  };

  /** The nodes that failed a task do not get it again, unless there is no other that could. */
  #avoid(job: Job, task: Task): ReadonlySet<number> | null {
    const { failedOn } = task;
    if (failedOn === null) return null;
    for (const node of this.#byId.values()) {
      const could = !node.isDraining && hasTag(node, job.tag) && !job.blocked.has(node.id);
      if (could && !failedOn.has(node.id)) return failedOn;
    }
    return null;
  }
}

function hasTag(node: WorkerNode, tag: string): boolean {
  return tag === '' || node.tags.has(tag);
}
