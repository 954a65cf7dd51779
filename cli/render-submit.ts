// `reactor-net render submit`: asks for images, writes each as it comes, says what is missing, and animates them at the end.
// Ctrl-C cancels the job. Exit codes: 0 all images are there, 1 some are missing, 3 the main node was not reached, 130 interrupted.

import path from 'node:path';
import {
  Code,
  FarmClient,
  type FolderJob,
  ImageFolder,
  ImageWriter,
  type MissingImage,
  nameOf,
  RenderDriver,
  type RenderedImage,
  RenderError,
  type RenderJob,
  type RenderProgress,
} from '../render/index.js';
import { EXIT_FAILED, type Io } from './main.js';
import { animate, tellMissing } from './render-output.js';
import { ProgressLine } from './render-progress.js';
import { interruptible, clientOptionsOf, say } from './render-session.js';
import { type Submission, submissionOf } from './render-submission.js';
import type { RenderSubmitOptions } from './render-submit-command.js';

export function renderSubmit(options: RenderSubmitOptions, io: Io): Promise<number> {
  return interruptible(options, io, async (signal) => {
    const request = submissionOf(options);
    const target = clientOptionsOf(options);
    // A folder that is taken is told of before anything is rendered.
    const { out, overwrite } = options;
    const folder = out === null ? null : await ImageFolder.open(out, { own: null, overwrite });
    const farm = new FarmClient(target);
    try {
      const scene = options.scene === null ? '' : await farm.putScene(options.scene);
      const driver = await RenderDriver.connect({ ...target, name: options.name }, { signal });
      try {
        return await new SubmittedJob(options, io, farm, driver, folder).run({ ...request, scene }, signal);
      } finally {
        await driver.close();
      }
    } finally {
      await farm.close();
    }
  });
}

class SubmittedJob {
  readonly #options: RenderSubmitOptions;
  readonly #io: Io;
  readonly #farm: FarmClient;
  readonly #driver: RenderDriver;
  readonly #folder: ImageFolder | null;
  readonly #line: ProgressLine;
  readonly #missing: MissingImage[] = [];
  #files: (string | null)[] = [];
  #told: RenderProgress | null = null;

  constructor(
    options: RenderSubmitOptions,
    io: Io,
    farm: FarmClient,
    driver: RenderDriver,
    folder: ImageFolder | null,
  ) {
    this.#options = options;
    this.#io = io;
    this.#farm = farm;
    this.#driver = driver;
    this.#folder = folder;
    this.#line = new ProgressLine(io, options.json);
  }

  async run(request: Submission, signal: AbortSignal): Promise<number> {
    const { images } = request;
    this.#files = Array.from({ length: images }, () => null);
    // With the first chunk, the job has a number.
    let hasNumber = (): void => {};
    const numbered = new Promise<void>((resolve) => {
      hasNumber = resolve;
    });
    const job = this.#driver.render(request, {
      signal,
      onProgress: (progress) => {
        if (progress.job !== null) hasNumber();
        this.#progressed(progress);
      },
    });
    try {
      await Promise.race([numbered, job.summary]);
      await this.#tellSubmitted(job, images);
      return this.#options.detach ? 0 : await this.#collect(job, request);
    } catch (error) {
      this.#line.clear();
      // What was already known to be missing is not forgotten for the sake of the error.
      tellMissing(this.#missing, this.#io, this.#options.json);
      throw error;
    }
  }

  async #tellSubmitted(job: RenderJob, images: number): Promise<void> {
    const { json, width, height, detach } = this.#options;
    const id = job.progress.job;
    if (id === null) {
      if (detach) {
        const message = 'the main node did not say which job it is; it cannot be left';
        await job.cancel();
        throw new RenderError('RENDER_STATE', message);
      }
      return;
    }
    this.#line.clear();
    const text = detach ? `job ${id}; get its images by: render fetch ${id} --out DIR` : `job ${id}`;
    say(this.#io, json, { event: 'submitted', job: id, images, width, height }, text);
    if (this.#folder === null) return;
    // So that "render fetch" may go on in this folder when we are interrupted.
    const { job: facts } = await this.#farm.job(id, { images: false });
    await this.#folder.claim(folderJobOf(facts));
  }

  async #collect(job: RenderJob, { images, format }: Submission): Promise<number> {
    const { json } = this.#options;
    // Only with --detach there is no folder.
    const writer = new ImageWriter<RenderedImage>(this.#folder!, (image, file) => this.#written(image, file));
    try {
      for await (const result of job) {
        if (result.kind === 'missing') this.#missing.push(result);
        else await writer.add(result);
      }
      await writer.finish();
    } finally {
      await writer.close();
    }
    const summary = await job.summary;
    this.#line.clear();
    const animation = await animate({ ...this.#options, format }, this.#files);
    tellMissing(this.#missing, this.#io, json);
    const { code, message, rendered, missing } = summary;
    const name = nameOf(code);
    if (animation !== null) say(this.#io, json, { event: 'animation', file: animation }, animation);
    say(
      this.#io,
      json,
      { event: 'finished', job: summary.job, code: name, message, rendered, missing, out: this.#options.out },
      missing === 0
        ? `${images} images in ${path.join(this.#options.out ?? '', path.sep)}`
        : `${rendered} of ${images} images, ${missing} missing (${name})`,
    );
    return code === Code.OK ? 0 : EXIT_FAILED;
  }

  #written({ index, attempts, renderMs, node }: RenderedImage, file: string): void {
    this.#files[index] = file;
    const facts = { event: 'image', index, file, attempts, renderMs, node };
    say(this.#io, this.#options.json, facts, null);
  }

  #progressed(progress: RenderProgress): void {
    const { json } = this.#options;
    const { state, message, job, images, rendered, missing } = progress;
    const isNews = this.#told === null || this.#told.state !== state;
    this.#told = progress;
    const isWait = state === 'waiting' || state === 'reconnecting';
    if (json && isNews && isWait) say(this.#io, true, { event: state, job, message }, null);
    const note = isWait ? `${state}: ${message}` : '';
    this.#line.show({ total: images, done: rendered, missing, before: 0, note });
    if (isNews && isWait && !json && this.#io.stdout.isTTY !== true)
      this.#io.stderr.write(`reactor-net: ${note}\n`);
  }
}

export function folderJobOf(job: {
  readonly id: bigint;
  readonly submittedAtMs: bigint;
  readonly images: number;
  readonly width: number;
  readonly height: number;
  readonly format: number;
}): FolderJob {
  const { id, submittedAtMs, images, width, height } = job;
  const format = job.format as FolderJob['format']; // a newer main node's formats are only compared
  return { job: String(id), submittedAtMs: String(submittedAtMs), images, width, height, format };
}
