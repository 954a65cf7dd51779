// The content type that a file's name promises; what is unknown is just bytes.
// static-files.ts asks for each answer. mime-types has the table (ADR 0001).

import { extname } from 'node:path';
import mimeTypes from 'mime-types';

const UNKNOWN = 'application/octet-stream';

/** With `charset=utf-8` for text. */
export function mediaTypeOf(path: string): string {
  const extension = extname(path);
  if (extension === '') return UNKNOWN;
  const type = mimeTypes.contentType(extension);
  return type === false ? UNKNOWN : type;
}
