// Whether a conditional request is to be carried out (RFC 9110 13). Pure.
// file-answer.ts asks before it looks at ranges. A header that makes no sense is as if it were not there, except that
// an If-Match that cannot be read matches nothing.

import {
  matchesStrongly,
  matchesWeakly,
  parseEntityTags,
  parseHttpDate,
  type Validators,
} from './validators.js';

/** The value of a request's header, joined by commas if it is repeated; undefined when it is not there. */
export type HeaderLookup = (name: string) => string | undefined;

/** 'proceed'; or the client has it already (304); or it asked for another state of the file (412). */
export type PreconditionOutcome = 'proceed' | 'not-modified' | 'failed';

/** For GET and HEAD of a file that exists, in the order of RFC 9110 13.2.2. */
export function checkPreconditions(header: HeaderLookup, file: Validators): PreconditionOutcome {
  const ifMatch = header('if-match');
  if (ifMatch !== undefined) {
    if (!anyTag(ifMatch, file.entityTag, matchesStrongly)) return 'failed';
  } else {
    const since = dateOf(header('if-unmodified-since'));
    if (since !== null && file.modifiedMs > since) return 'failed';
  }
  const ifNoneMatch = header('if-none-match');
  if (ifNoneMatch !== undefined) {
    return anyTag(ifNoneMatch, file.entityTag, matchesWeakly) ? 'not-modified' : 'proceed';
  }
  const since = dateOf(header('if-modified-since'));
  return since !== null && file.modifiedMs <= since ? 'not-modified' : 'proceed';
}

/** Whether If-Range, if there is one, says that the client's other parts belong to this state of the file. */
export function rangeApplies(header: HeaderLookup, file: Validators): boolean {
  const ifRange = header('if-range');
  if (ifRange === undefined) return true;
  if (!file.isStrong) return false;
  if (ifRange.includes('"')) return matchesStrongly(ifRange, file.entityTag);
  return parseHttpDate(ifRange) === file.modifiedMs;
}

function anyTag(header: string, tag: string, matches: (one: string, other: string) => boolean): boolean {
  const tags = parseEntityTags(header);
  if (tags === '*') return true;
  return tags !== null && tags.some((quoted) => matches(quoted, tag));
}

function dateOf(header: string | undefined): number | null {
  return header === undefined ? null : parseHttpDate(header);
}
