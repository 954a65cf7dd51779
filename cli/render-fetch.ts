// `reactor-net render fetch`: brings the images of a job into a folder. It may be interrupted and started again: files that
// are whole are left alone, and the others are asked for in as few streams as the gaps between them are worth.

import {
  ErrCode,
  type Image,
  ImageFolder,
  ImageState,
  ImageWriter,
  type MissingImage,
  type RenderedImage,
} from '../render/index.js';
import { EXIT_FAILED, type Io } from './main.js';
import type { RenderFetchOptions } from './render-farm-command.js';
import { animate, tellMissing } from './render-output.js';
import { ProgressLine } from './render-progress.js';
import { say, withFarm } from './render-session.js';
import { folderJobOf } from './render-submit.js';
import { checkAnimation } from './render-submission.js';

/** So many images that are here already are rather fetched once more than a stream is begun anew. */
const GAP_MAX = 8;

export function renderFetch(options: RenderFetchOptions, io: Io): Promise<number> {
  const { job: id, out, overwrite, follow, json } = options;
  return withFarm(options, io, async (farm, signal) => {
    const { job, images } = await farm.job(id);
    const own = folderJobOf(job);
    checkAnimation(options, own.format);
    const folder = await ImageFolder.open(out, { own, overwrite });
    const absent = await folder.missing(own);
    const before = own.images - absent.length;
    const wanted = new Set(absent.filter((index) => follow || images[index]?.kept === true));
    const line = new ProgressLine(io, json);
    const lost = new Map<number, MissingImage>();
    const show = (): void => {
      const done = own.images - wanted.size - lost.size;
      line.show({ total: own.images, done, missing: lost.size, before, note: '' });
    };
    for (const index of absent) if (!wanted.has(index)) lost.set(index, reasonOf(images[index], index));
    show();
    const writer = new ImageWriter<RenderedImage>(folder, ({ index }, file) => {
      say(io, json, { event: 'image', index, file }, null);
      wanted.delete(index);
      show();
    });
    try {
      for (const { first, last } of follow ? wholeRun(wanted) : runsOf(wanted)) {
        for await (const result of farm.fetch(id, { from: first, follow, signal })) {
          const { index } = result;
          if (wanted.has(index)) {
            if (result.kind === 'rendered') await writer.add(result);
            else {
              wanted.delete(index);
              lost.set(index, result);
              show();
            }
          }
          if (index >= last) break;
        }
      }
      await writer.finish();
    } finally {
      await writer.close();
      line.clear();
    }
    for (const index of wanted) lost.set(index, reasonOf(undefined, index));
    const files = Array.from({ length: own.images }, (_, index) =>
      lost.has(index) ? null : folder.fileOf(index, own.format),
    );
    const animation = await animate({ ...options, ...own }, files);
    tellMissing([...lost.values()], io, json);
    if (animation !== null) say(io, json, { event: 'animation', file: animation }, animation);
    const fetched = own.images - lost.size - before;
    say(
      io,
      json,
      { event: 'finished', job: id, images: own.images, before, fetched, missing: lost.size, out },
      `${fetched} images fetched, ${before} were there, ${lost.size} missing`,
    );
    return lost.size === 0 ? 0 : EXIT_FAILED;
  });
}

/** Stretches of wanted images, from the first to the last of each; small gaps are taken along. */
export function runsOf(wanted: ReadonlySet<number>): { first: number; last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (const index of [...wanted].toSorted((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run === undefined || index - run.last > GAP_MAX) runs.push({ first: index, last: index });
    else run.last = index;
  }
  return runs;
}

/** Those that are still being rendered come in any order: one stream waits for all of them. */
function wholeRun(wanted: ReadonlySet<number>): { first: number; last: number }[] {
  const [first] = wanted; // the lowest: they were found in order
  return first === undefined ? [] : [{ first, last: Infinity }];
}

function reasonOf(image: Image | undefined, index: number): MissingImage {
  const { state, attempts = 0 } = image ?? {};
  const missing = { kind: 'missing', index, attempts, node: 0 } as const;
  if (image !== undefined && state === ImageState.MISSING)
    return { ...missing, code: image.code as ErrCode, error: image.error }; // told as it came
  const error = state === ImageState.RENDERED ? 'its pixels are not kept any more' : 'it is not rendered yet';
  return { ...missing, code: ErrCode.EC_NO_OUTPUT, error };
}
