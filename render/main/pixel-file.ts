// The images of one job on disk: one file that only grows, deleted as a whole.
// result-store.ts says what goes there; calls run on libuv's threads. Opened for the time of a few calls, so that many jobs
// do not mean many descriptors.

import { constants } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';

export interface PixelPlace {
  readonly offset: number;
  readonly bytes: number;
}

export class PixelFile {
  readonly path: string;
  #end: number;

  private constructor(path: string, end: number) {
    this.path = path;
    this.#end = end;
  }

  static create(path: string): PixelFile {
    return new PixelFile(path, 0);
  }

  /** One that an earlier process left; what is in it is known by places that its owner kept. */
  static async existing(path: string): Promise<PixelFile> {
    const size = await stat(path).then(
      (found) => found.size,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return 0;
        throw error;
      },
    );
    return new PixelFile(path, size);
  }

  /** How long the file is. */
  get end(): number {
    return this.#end;
  }

  /** Appends all of them; gives where each is. */
  async append(images: readonly Uint8Array[]): Promise<PixelPlace[]> {
    const handle = await open(this.path, constants.O_CREAT | constants.O_WRONLY, 0o600);
    try {
      const places: PixelPlace[] = [];
      let offset = this.#end;
      for (const { byteLength: bytes } of images) {
        places.push({ offset, bytes });
        offset += bytes;
      }
      const { bytesWritten } = await handle.writev(images, this.#end);
      // The system may take less than all: the rest goes by itself.
      if (this.#end + bytesWritten < offset)
        await writeAll(handle, Buffer.concat(images).subarray(bytesWritten), this.#end + bytesWritten);
      this.#end = offset;
      return places;
    } finally {
      await handle.close();
    }
  }

  /** Null: the file is shorter than that. */
  async read({ offset, bytes }: PixelPlace): Promise<Uint8Array | null> {
    const handle = await open(this.path, 'r');
    try {
      const image = Buffer.allocUnsafe(bytes);
      for (let done = 0; done < bytes; ) {
        const { bytesRead } = await handle.read(image, done, bytes - done, offset + done);
        if (bytesRead === 0) return null;
        done += bytesRead;
      }
      return image;
    } finally {
      await handle.close();
    }
  }

  remove(): Promise<void> {
    return rm(this.path, { force: true });
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}
