// The chunks that a PNG file is made of: read from one, written to another. Pure.
// apng.ts takes images apart with it; image-folder.ts sees by it whether a file is whole.

import { crc32 } from 'node:zlib';

export const PNG_SIGNATURE: Buffer = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** The last chunk of every PNG file, which is empty. */
export const PNG_END: Buffer = pngChunk('IEND', Buffer.alloc(0));

export interface PngChunk {
  readonly type: string;
  readonly data: Buffer;
}

/** Length, type, data, and the sum of type and data. */
export function pngChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

/** The chunks of a whole file, as views of it; null where it is no PNG file. */
export function pngChunks(file: Uint8Array): PngChunk[] | null {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!bytes.subarray(0, 8).equals(PNG_SIGNATURE)) return null;
  const chunks: PngChunk[] = [];
  for (let offset = 8; offset + 12 <= bytes.length; ) {
    const end = offset + 8 + bytes.readUInt32BE(offset);
    if (end + 4 > bytes.length) return null;
    chunks.push({
      type: bytes.toString('latin1', offset + 4, offset + 8),
      data: bytes.subarray(offset + 8, end),
    });
    offset = end + 4;
  }
  return chunks.at(-1)?.type === 'IEND' ? chunks : null;
}
