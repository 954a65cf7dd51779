// Which answer a request for an existing file gets: its status, its headers and the bytes of its body. Pure.
// static-files.ts has found the file and sends the answer.

import { chooseRange } from './byte-range.js';
import { checkPreconditions, type HeaderLookup, rangeApplies } from './preconditions.js';
import { type FileFacts, type Validators, validatorsOf } from './validators.js';

export interface FileAnswer {
  readonly status: 200 | 206 | 304 | 412 | 416;
  readonly headers: Readonly<Record<string, string>>;
  /** The part of the file that is the body: [start, end). Nothing for 304, 412 and 416. */
  readonly start: number;
  readonly end: number;
}

/** What the answer says beside what the file itself says. */
export interface FilePresentation {
  readonly contentType: string;
  readonly cacheControl: string;
}

/** Ranges are for GET alone (RFC 9110 14.2). */
export function answerFile(
  method: 'GET' | 'HEAD',
  header: HeaderLookup,
  file: FileFacts,
  presentation: FilePresentation,
  nowMs: number,
): FileAnswer {
  const validators = validatorsOf(file, nowMs);
  const outcome = checkPreconditions(header, validators);
  if (outcome === 'failed') return { status: 412, headers: {}, start: 0, end: 0 };
  if (outcome === 'not-modified') {
    return { status: 304, headers: stateHeaders(validators, presentation), start: 0, end: 0 };
  }
  const { sizeBytes } = file;
  const hasRange = method === 'GET' && rangeApplies(header, validators);
  const range = chooseRange(hasRange ? header('range') : undefined, sizeBytes);
  if (range.kind === 'unsatisfiable') {
    return { status: 416, headers: { 'content-range': `bytes */${sizeBytes}` }, start: 0, end: 0 };
  }
  const headers = {
    'content-type': presentation.contentType,
    'x-content-type-options': 'nosniff',
    'accept-ranges': 'bytes',
    ...stateHeaders(validators, presentation),
  };
  if (range.kind === 'whole') return { status: 200, headers, start: 0, end: sizeBytes };
  const { start, end } = range;
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${sizeBytes}` },
    start,
    end,
  };
}

function stateHeaders(validators: Validators, presentation: FilePresentation): Record<string, string> {
  return {
    etag: validators.entityTag,
    'last-modified': new Date(validators.modifiedMs).toUTCString(),
    'cache-control': presentation.cacheControl,
  };
}
