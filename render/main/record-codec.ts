// Records of a main node as text, one to a line, as both stores keep them. Pure.

import type { StoreRecord } from './job-store.js';

/** Of the records: what an older or newer main node wrote may look different. */
export const RECORD_VERSION = 1;

const BIG_NUMBERS: ReadonlySet<string> = new Set(['epoch', 'requestId']);

/** Without a line feed in it. */
export function recordText(record: StoreRecord): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

/** Of text that `recordText` made in this version: whoever keeps it sees to that. */
export function recordOfText(text: string): StoreRecord {
  return JSON.parse(text, revive) as StoreRecord;
}

function revive(key: string, value: unknown): unknown {
  return BIG_NUMBERS.has(key) && typeof value === 'string' ? BigInt(value) : value;
}
