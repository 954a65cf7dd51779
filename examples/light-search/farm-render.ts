// Has the points of a generation rendered by the farm: one job, one image for each point.

import { type Light, PixelFormat, type Pixels, type RenderDriver, RenderError } from 'reactor-net/render';
import { lightsAt } from './light-point.js';
import type { Render } from './run-search.js';

export interface Picture {
  /** Pixels of a side. */
  readonly side: number;
  /** Rays for each pixel. */
  readonly samples: number;
}

/** Images that the farm could not render are null; what it rendered of a job is used. */
export function farmRender(driver: RenderDriver, picture: Picture): Render {
  return (points) => renderLights(driver, points.map(lightsAt), picture);
}

/** @throws RenderError when the farm cannot be asked at all, or takes no work for half a minute */
export async function renderLights(
  driver: RenderDriver,
  lights: readonly (readonly Light[])[],
  { side, samples }: Picture,
): Promise<readonly (Pixels | null)[]> {
  const images: (Pixels | null)[] = lights.map(() => null);
  // One seed for all: what differs between two images is their light, not the renderer's noise.
  const request = { width: side, height: side, samples, format: PixelFormat.RGB8, lights, seed: 1 };
  try {
    for await (const result of driver.render(request)) {
      if (result.kind === 'rendered') images[result.index] = result;
    }
  } catch (error) {
    const isPartial = error instanceof RenderError && images.some((image) => image !== null);
    if (!isPartial) throw error;
  }
  return images;
}
