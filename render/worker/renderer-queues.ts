// Which image waits at which renderer: with the fewest, away from those that failed it; and what a renderer without work takes.
// task-table.ts places images and asks for the next one. Pure.

import { assignLeastLoaded } from './assignment.js';
import type { Renderer, RenderTask } from './render-task.js';

export class RendererQueues {
  readonly #renderers: ReadonlyMap<number, Renderer>;
  /** Queued while there is no renderer that could take them. */
  #homeless: RenderTask[] = [];
  #stolen = 0;

  /** @param renderers those that are there, as their owner keeps them */
  constructor(renderers: ReadonlyMap<number, Renderer>) {
    this.#renderers = renderers;
  }

  /** Images that wait, wherever. */
  get waiting(): number {
    let waiting = this.#homeless.length;
    for (const { queue } of this.#renderers.values()) waiting += queue.length;
    return waiting;
  }

  /** Images that a renderer took from the queue of another one. */
  get stolen(): number {
    return this.#stolen;
  }

  /** Gives queued tasks to the renderers with the fewest, away from those that failed them where that can be. */
  place(tasks: readonly RenderTask[]): void {
    const fresh = tasks.filter(({ failedOn }) => failedOn.size === 0);
    const loads = this.#loads(null);
    let at = 0;
    for (const [pid, count] of assignLeastLoaded(loads, fresh.length)) {
      for (const task of fresh.slice(at, at + count)) this.#enqueue(task, this.#renderers.get(pid)!);
      at += count;
    }
    for (const task of fresh.slice(at)) this.#enqueue(task, null);
    for (const task of tasks) {
      if (task.failedOn.size === 0) continue;
      const others = this.#loads(task.failedOn);
      const [pid] = assignLeastLoaded(others.size > 0 ? others : this.#loads(null), 1).keys();
      this.#enqueue(task, pid === undefined ? null : this.#renderers.get(pid)!);
    }
  }

  /** What waits nowhere, now that there may be somebody for it. */
  placeHomeless(): void {
    if (this.#homeless.length === 0 || this.#loads(null).size === 0) return;
    const homeless = this.#homeless;
    this.#homeless = [];
    this.place(homeless);
  }

  /** A queued task that is wanted no more. */
  withdraw(task: RenderTask): void {
    const queue = task.renderer?.queue ?? this.#homeless;
    queue.splice(queue.indexOf(task), 1);
  }

  /** What the renderer is to render next: the first of its own, or what waits last in the longest queue. */
  next(renderer: Renderer): RenderTask | null {
    return renderer.queue.shift() ?? this.#steal(renderer);
  }

  #loads(except: ReadonlySet<number> | null): Map<number, number> {
    const loads = new Map<number, number>();
    for (const renderer of this.#renderers.values()) {
      if (!renderer.isDraining && except?.has(renderer.pid) !== true)
        loads.set(renderer.pid, loadOf(renderer));
    }
    return loads;
  }

  #enqueue(task: RenderTask, renderer: Renderer | null): void {
    task.renderer = renderer;
    (renderer?.queue ?? this.#homeless).push(task);
  }

  /** The task that waits last in the longest queue, if this renderer did not fail it. */
  #steal(thief: Renderer): RenderTask | null {
    if (thief.isDraining) return null;
    let longest: Renderer | null = null;
    for (const renderer of this.#renderers.values()) {
      const { length } = renderer.queue;
      if (length > (longest?.queue.length ?? 0) && !renderer.queue[length - 1]!.failedOn.has(thief.pid))
        longest = renderer;
    }
    const task = longest?.queue.pop() ?? null;
    if (task !== null) this.#stolen += 1;
    return task;
  }
}

/** Images that a renderer has, the one in flight included. */
export function loadOf(renderer: Renderer): number {
  return renderer.queue.length + (renderer.flight === null ? 0 : 1);
}
