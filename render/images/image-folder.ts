// The images of one job in a folder: image-0001.png is the image of index 0. Whole files only, of this job and no other.
// `render submit` and `render fetch` write to it; the second asks it what is missing.
// render.json in it says whose images they are, so that those of another job are neither taken for them nor written over.

import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { RenderError } from '../errors.js';
import { PixelFormat } from '../proto/render.js';
import { fileError, isPartialName, writeAtomically } from './atomic-file.js';
import { encodeImage, extensionOf, type Pixels } from './image-encoding.js';
import { PNG_END, PNG_SIGNATURE } from './png-chunks.js';

/** What tells a job from all others, and its images from those of another size. */
export interface FolderJob {
  /** The id of the job at its main node, as text. */
  readonly job: string;
  /** Milliseconds since the Unix epoch, as text: ids may begin again with another main node. */
  readonly submittedAtMs: string;
  readonly images: number;
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
}

const OWNER_FILE = 'render.json';
const IMAGE_NAME = /^image-(\d{4,})\.(?:png|exr)$/;
/** What an interrupted writer left is removed when it is this old; a younger one may be at work. */
const PARTIAL_MS = 60_000;
/** Signature, length and type of IHDR, width, height, depth, kind of pixels. */
const PNG_HEAD_BYTES = 26;
const EXR_MAGIC: Buffer = Buffer.from([0x76, 0x2f, 0x31, 0x01]);

export class ImageFolder {
  readonly path: string;

  private constructor(folder: string) {
    this.path = folder;
  }

  /**
   * Makes the folder where there is none.
   * @param isOurs whether images that are there are ours: `own` says whose they must be
   * @throws RenderError RENDER_STATE: there are images of another job, or of nobody knows whom; RENDER_IO
   */
  static async open(
    folder: string,
    { own, overwrite }: { own: FolderJob | null; overwrite: boolean },
  ): Promise<ImageFolder> {
    try {
      await mkdir(folder, { recursive: true });
      const names = await readdir(folder);
      for (const name of names.filter(isPartialName)) await removeOld(path.join(folder, name));
      const owner = names.includes(OWNER_FILE) ? await readOwner(path.join(folder, OWNER_FILE)) : null;
      const opened = new ImageFolder(folder);
      const isOurs = own !== null && owner !== null && sameJob(own, owner);
      const images = names.filter((name) => IMAGE_NAME.test(name));
      if (!isOurs && (owner !== null || images.length > 0)) {
        if (!overwrite) throw new RenderError('RENDER_STATE', `${folder} ${inUse(owner, images)}`);
        // Left there, they would be taken for images of this job as soon as it is the owner.
        for (const name of [...images, OWNER_FILE]) await rm(path.join(folder, name), { force: true });
      }
      if (own !== null && !isOurs) await opened.claim(own);
      return opened;
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Says whose images these are. @throws RenderError RENDER_IO */
  async claim(job: FolderJob): Promise<void> {
    await writeAtomically(path.join(this.path, OWNER_FILE), (file) =>
      file.writeFile(`${JSON.stringify(job, null, 2)}\n`),
    );
  }

  fileOf(index: number, format: PixelFormat): string {
    return path.join(this.path, `image-${String(index + 1).padStart(4, '0')}${extensionOf(format)}`);
  }

  /** @returns the path of the file. @throws RenderError RENDER_IO, RENDER_MESSAGE_INVALID */
  save(image: Pixels & { readonly index: number }): Promise<string> {
    return this.put(image.index, image.format, encodeImage(image));
  }

  /** The file of an image as it is to be. @returns its path. @throws RenderError RENDER_IO */
  async put(index: number, format: PixelFormat, bytes: Uint8Array): Promise<string> {
    const file = this.fileOf(index, format);
    await writeAtomically(file, (handle) => handle.writeFile(bytes));
    return file;
  }

  /** Indexes whose file is not there, is not whole, or has another size than it should. @throws RenderError RENDER_IO */
  async missing({ images, width, height, format }: FolderJob): Promise<number[]> {
    const missing: number[] = [];
    for (let index = 0; index < images; index += 1) {
      if (!(await isWhole(this.fileOf(index, format), width, height, format))) missing.push(index);
    }
    return missing;
  }
}

async function removeOld(file: string): Promise<void> {
  const { mtimeMs } = await stat(file);
  if (Date.now() - mtimeMs > PARTIAL_MS) await rm(file, { force: true });
}

/** Null: it says nothing that we understand, and so are the images beside it. */
async function readOwner(file: string): Promise<FolderJob | null> {
  try {
    const owner = JSON.parse(await readFile(file, 'utf8')) as Partial<FolderJob> | null;
    if (typeof owner?.job !== 'string' || typeof owner.submittedAtMs !== 'string') return null;
    return owner as FolderJob; // the other fields are compared, whatever they are
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function sameJob(left: FolderJob, right: FolderJob): boolean {
  return (['job', 'submittedAtMs', 'images', 'width', 'height', 'format'] as const).every(
    (name) => left[name] === right[name],
  );
}

function inUse(owner: FolderJob | null, images: readonly string[]): string {
  if (owner !== null) return `has the images of job ${owner.job} already`;
  return images.length === 0 ? `has a ${OWNER_FILE} that is not ours` : `has images already: ${images[0]}`;
}

async function isWhole(file: string, width: number, height: number, format: PixelFormat): Promise<boolean> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const head = await part(handle, 0, PNG_HEAD_BYTES);
      if (format === PixelFormat.EXR) return size > PNG_HEAD_BYTES && head.subarray(0, 4).equals(EXR_MAGIC);
      if (size < PNG_HEAD_BYTES + PNG_END.length || !head.subarray(0, 8).equals(PNG_SIGNATURE)) return false;
      const end = await part(handle, size - PNG_END.length, PNG_END.length);
      return end.equals(PNG_END) && head.readUInt32BE(16) === width && head.readUInt32BE(20) === height;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw fileError(error);
  }
}

async function part(
  handle: Awaited<ReturnType<typeof open>>,
  position: number,
  length: number,
): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
