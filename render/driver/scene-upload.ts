// A .blend file on its way to the farm: its SHA-256, then its bytes in parts that fit messages.
// farm-client.ts sends them. The farm refuses a file that changed in between: its bytes have another sum then.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { RenderError } from '../errors.js';
import type { ScenePart } from '../proto/farm.js';

/** A path, or the bytes themselves. */
export type SceneSource = string | Uint8Array;

const PART_BYTES: number = 256 * 1024;

/** @throws RenderError RENDER_IO: the file cannot be read */
export async function sceneSum(source: SceneSource): Promise<{ sha256: string; bytes: bigint }> {
  const hash = createHash('sha256');
  let bytes = 0n;
  for await (const part of partsOf(source)) {
    hash.update(part);
    bytes += BigInt(part.length);
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** The first one tells what is coming. @throws RenderError RENDER_IO: the file cannot be read */
export async function* sceneParts(
  source: SceneSource,
  sha256: string,
  bytes: bigint,
): AsyncGenerator<ScenePart> {
  let head = { sha256, bytes };
  for await (const data of partsOf(source)) {
    yield { ...head, data };
    head = { sha256: '', bytes: 0n };
  }
  if (head.sha256 !== '') yield { ...head, data: new Uint8Array(0) };
}

async function* partsOf(source: SceneSource): AsyncGenerator<Uint8Array> {
  if (typeof source !== 'string') {
    for (let offset = 0; offset < source.length; offset += PART_BYTES)
      yield source.subarray(offset, offset + PART_BYTES);
    return;
  }
  try {
    yield* createReadStream(source, { highWaterMark: PART_BYTES }) as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof Error && 'syscall' in error)
      throw new RenderError('RENDER_IO', `the scene cannot be read: ${error.message}`, { cause: error });
    throw error;
  }
}
