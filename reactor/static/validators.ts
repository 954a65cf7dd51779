// What tells one state of a file from another: entity tags and dates, and how requests quote them (RFC 9110 8.8).
// file-answer.ts makes them, preconditions.ts compares them. Pure: the time is an argument.

/** What the file system says of an open file. */
export interface FileFacts {
  readonly sizeBytes: number;
  readonly inode: bigint;
  /** Since the Unix epoch. */
  readonly modifiedNs: bigint;
}

/** The state of a file, as answers tell it. */
export interface Validators {
  /** With quotes, and `W/` when it is weak. */
  readonly entityTag: string;
  /** Whole seconds since the Unix epoch, in milliseconds: as much as a date in a header can say. */
  readonly modifiedMs: number;
  /** The tag and the date change whenever a byte does. */
  readonly isStrong: boolean;
}

/**
 * A file that was written this recently may be written again without a new time stamp, of which the kernel has only
 * one per tick: until then its tag is weak. The second that dates are cut to must have passed as well.
 */
const SETTLING_MS = 2000;

const NS_PER_MS = 1_000_000n;
const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/y;
const SEPARATOR = /[ \t]*(?:,[ \t]*)+|[ \t]*$/y;
/** The three forms that RFC 9110 5.6.7 has recipients take. */
const DATES = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
];

export function validatorsOf(file: FileFacts, nowMs: number): Validators {
  const modifiedMs = Number(file.modifiedNs / NS_PER_MS);
  const isStrong = nowMs - modifiedMs >= SETTLING_MS;
  const tag = `"${file.sizeBytes.toString(36)}-${file.modifiedNs.toString(36)}-${file.inode.toString(36)}"`;
  return {
    entityTag: isStrong ? tag : `W/${tag}`,
    modifiedMs: Math.floor(modifiedMs / 1000) * 1000,
    isStrong,
  };
}

/**
 * The tags of an If-Match or If-None-Match header; '*' for the one that means any; null when it is malformed.
 */
export function parseEntityTags(header: string): readonly string[] | '*' | null {
  if (header.trim() === '*') return '*';
  const tags: string[] = [];
  let position = 0;
  while (position < header.length) {
    ENTITY_TAG.lastIndex = position;
    const tag = ENTITY_TAG.exec(header);
    if (tag === null) return null;
    tags.push(tag[0]);
    SEPARATOR.lastIndex = ENTITY_TAG.lastIndex;
    if (SEPARATOR.exec(header) === null) return null;
    position = SEPARATOR.lastIndex;
  }
  return tags;
}

/** Both strong, and the same. */
export function matchesStrongly(one: string, other: string): boolean {
  return one === other && !one.startsWith('W/');
}

/** The same, weak or not. */
export function matchesWeakly(one: string, other: string): boolean {
  return opaque(one) === opaque(other);
}

/** Milliseconds since the Unix epoch; null for what is no date. */
export function parseHttpDate(text: string): number | null {
  const form = DATES.findIndex((date) => date.test(text));
  if (form === -1) return null;
  const ms = Date.parse(form === 2 ? `${text} GMT` : text); // asctime names no zone
  return Number.isNaN(ms) ? null : ms;
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}
