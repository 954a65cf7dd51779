// The same renderer processes without a farm: each is given the next image as soon as it has rendered one.

import { builtinRenderer, RendererPool, rendererRequest, RENDERER_OPS } from '../../render/index.js';

const DEADLINE_MS = 60_000;

export class DirectRenderers {
  readonly #pool: RendererPool;

  private constructor(pool: RendererPool) {
    this.#pool = pool;
  }

  static async start(renderers: number, sleepMs: number): Promise<DirectRenderers> {
    const pool = new RendererPool(builtinRenderer({ instant: true, sleepMs }), { min: renderers });
    await pool.start();
    return new DirectRenderers(pool);
  }

  /** Milliseconds from the first request to the last reply. @throws Error when an image fails */
  async render(images: number): Promise<number> {
    const beganMs = performance.now();
    let given = 0;
    const work = this.#pool.processes.map(async (process) => {
      while (given < images) {
        given += 1;
        const lights = { lightCount: 1, lights: [0x80ffffff] };
        const size = { taskCount: 1, width: 1, height: 1, samples: 1, frames: [0] };
        const request = rendererRequest({ op: RENDERER_OPS.render, serial: given, ...size, ...lights });
        const { text } = await process.render(request, { deadlineMs: DEADLINE_MS });
        if (text !== '') throw new Error(`a renderer failed: ${text}`);
      }
    });
    await Promise.all(work);
    return performance.now() - beganMs;
  }

  async stop(): Promise<void> {
    await this.#pool.stop();
  }
}
