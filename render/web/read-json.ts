// The JSON body of a request, within a bound.

import type { IncomingMessage } from 'node:http';
import { RenderError } from '../errors.js';

const BODY_BYTES_MAX = 64 * 1024;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;

/** @throws RenderError RENDER_REQUEST_INVALID, RENDER_REQUEST_TOO_LARGE */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers['content-type'] ?? ''))
    throw new RenderError('RENDER_REQUEST_INVALID', 'the body should be application/json');
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.byteLength;
    if (bytes > BODY_BYTES_MAX)
      throw new RenderError('RENDER_REQUEST_TOO_LARGE', `the body is larger than ${BODY_BYTES_MAX} bytes`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch (cause) {
    throw new RenderError('RENDER_REQUEST_INVALID', 'the body is no JSON', { cause });
  }
}
