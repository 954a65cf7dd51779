// The renderers of one worker node: at least so many, at most so many, each a process of its own.
// The worker node assigns tasks to them, the autoscaler lets them become more or fewer; which state each is in is told to a
// listener. A renderer that died too often stays in the list as 'failed': a sign to drain the node, not to forget it.

import { RenderError } from '../errors.js';
import type { Renderer } from '../renderer/renderer.js';
import type { RendererProcessOptions } from './renderer-options.js';
import { RendererProcess } from './renderer-process.js';
import { removeStaleScratchFolders } from '../scratch-folder.js';

export interface RendererPoolOptions extends RendererProcessOptions {
  /** Renderers that are started at once, and never fewer. Default 2. */
  min?: number;
  /** Never more. Default `min`. */
  max?: number;
}

const RENDERERS_MAX = 256;

export class RendererPool {
  readonly min: number;
  readonly max: number;
  readonly #renderer: Renderer;
  readonly #options: RendererProcessOptions;
  readonly #onState: (process: RendererProcess) => void;
  readonly #processes = new Map<number, RendererProcess>();
  /** When each became idle. */
  readonly #idleSinceMs = new Map<RendererProcess, number>();
  #lastId = 0;
  #isStopped = false;

  /**
   * @param onState called whenever one of them changes its state; it may render there and then.
   * @throws RenderError RENDER_OPTION_INVALID
   */
  constructor(
    renderer: Renderer,
    options: RendererPoolOptions = {},
    onState: (process: RendererProcess) => void = () => {},
  ) {
    const { min = 2, max = min, ...own } = options;
    this.min = min;
    this.max = max;
    if (!(Number.isInteger(min) && min >= 1 && Number.isInteger(max) && max >= min && max <= RENDERERS_MAX)) {
      throw new RenderError(
        'RENDER_OPTION_INVALID',
        `a pool has from 1 to ${RENDERERS_MAX} renderers, not ${min} to ${max}`,
      );
    }
    this.#renderer = renderer;
    this.#options = own;
    this.#onState = onState;
  }

  /** All of them, in the order of their ids, those that have failed included. */
  get processes(): RendererProcess[] {
    return [...this.#processes.values()];
  }

  /** One that takes a task now: the one that was idle first. */
  idle(): RendererProcess | undefined {
    const [first] = this.#idleSinceMs.keys();
    return first;
  }

  /** How long one has been idle; 0 when it is not. */
  idleMs(process: RendererProcess): number {
    const sinceMs = this.#idleSinceMs.get(process);
    return sinceMs === undefined ? 0 : performance.now() - sinceMs;
  }

  get(id: number): RendererProcess | undefined {
    return this.#processes.get(id);
  }

  /**
   * Starts the first `min`, all or none.
   * @throws RenderError (as rejection) RENDER_START_FAILED, RENDER_STATE, RENDER_CLOSED
   */
  async start(): Promise<void> {
    if (this.#processes.size > 0) throw new RenderError('RENDER_STATE', 'the pool was started before');
    await removeStaleScratchFolders();
    const started = await Promise.allSettled(Array.from({ length: this.min }, () => this.grow()));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  /**
   * Starts one more, and resolves to it when it is ready.
   * @throws RenderError (as rejection) RENDER_STATE: there are `max` already; RENDER_START_FAILED, RENDER_CLOSED.
   */
  async grow(): Promise<RendererProcess> {
    if (this.#isStopped) throw new RenderError('RENDER_CLOSED', 'the pool is stopped');
    if (this.#processes.size >= this.max)
      throw new RenderError('RENDER_STATE', `there are ${this.max} renderers already`);
    this.#lastId += 1;
    const id = this.#lastId;
    const process = new RendererProcess(this.#renderer, this.#options, (it) => this.#note(it), id);
    this.#processes.set(id, process);
    try {
      await process.start();
      return process;
    } catch (error) {
      this.#processes.delete(id);
      throw error;
    }
  }

  /**
   * Stops one, by default the one that has been idle longest, and forgets it. It takes no task any more from the call on.
   * @throws RenderError (as rejection) RENDER_STATE: there are no more than `min`, none is idle, or it is not of this pool.
   */
  async shrink(process: RendererProcess | undefined = this.idle()): Promise<void> {
    if (this.#processes.size <= this.min)
      throw new RenderError('RENDER_STATE', `there are only ${this.min} renderers`);
    if (process === undefined) throw new RenderError('RENDER_STATE', 'no renderer is idle');
    await this.remove(process);
  }

  /** As shrink, whatever `min` says: for one that has failed, or is to be replaced. */
  async remove(process: RendererProcess): Promise<void> {
    if (this.#processes.get(process.id) !== process)
      throw new RenderError('RENDER_STATE', 'it is not of this pool');
    await process.stop();
    this.#processes.delete(process.id);
  }

  /** Stops all of them; tasks they still have are canceled. May be repeated. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.processes.map((process) => process.stop()));
    this.#processes.clear();
  }

  #note(process: RendererProcess): void {
    if (process.state === 'idle') this.#idleSinceMs.set(process, performance.now());
    else this.#idleSinceMs.delete(process);
    this.#onState(process);
  }
}
