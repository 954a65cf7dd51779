// The registry's snapshot as text: one line for each lease and each instance, each with a checksum of its own, so
// that damage is found, said where, and costs no more than the lines it hit. snapshot-file.ts reads and writes it.
// Line 1: `reactor-net registry snapshot 1`. Then `crc32 json` lines. Last: `crc32 {"end":<lines>,…}`.

import { crc32 } from 'node:zlib';
import type { InstanceRecord, StoredLease } from './record.js';
import type { StateDump } from './state.js';

const FORMAT = 'reactor-net registry snapshot ';
const VERSION = 1;

type Line =
  | { readonly lease: StoredLease }
  | { readonly record: InstanceRecord }
  | { readonly end: number; readonly revision: number };

export interface DecodedSnapshot {
  readonly dump: StateDump;
  /** One sentence for each damaged place, with its line; none when the file is whole. */
  readonly damages: readonly string[];
}

export function encodeSnapshot({ revision, leases, records }: StateDump): string {
  const lines = [`${FORMAT}${VERSION}`];
  for (const lease of leases) lines.push(encodeLine({ lease }));
  for (const record of records) lines.push(encodeRecord(record));
  lines.push(encodeLine({ end: leases.length + records.length, revision }), '');
  return lines.join('\n');
}

/** Never throws: what is damaged is left out and said. */
export function decodeSnapshot(text: string): DecodedSnapshot {
  const [head = '', ...rest] = text.split('\n');
  const leases: StoredLease[] = [];
  const records: InstanceRecord[] = [];
  const damages: string[] = [];
  if (head !== `${FORMAT}${VERSION}`) {
    const known = head.startsWith(FORMAT);
    const what = known
      ? `is of version ${head.slice(FORMAT.length, FORMAT.length + 10)}`
      : 'is no snapshot of a registry';
    return {
      dump: { revision: 0, leases, records },
      damages: [`line 1: the file ${what}; version ${VERSION} is read`],
    };
  }
  let end: { end: number; revision: number } | null = null;
  let highest = 0;
  for (const [index, text] of rest.entries()) {
    if (text === '' && index === rest.length - 1) break;
    const line = decodeLine(text);
    const number = index + 2;
    if (typeof line === 'string') damages.push(`line ${number}: ${line}`);
    else if ('lease' in line) leases.push(line.lease);
    else if ('record' in line) {
      records.push(line.record);
      highest = Math.max(highest, line.record.revision);
    } else {
      end = line;
      const found = index;
      if (line.end !== found)
        damages.push(`line ${number}: ${line.end} lines were written, ${found} are here`);
    }
  }
  if (end === null) damages.push(`line ${rest.length + 1}: the file was cut off, its last line is missing`);
  return { dump: { revision: end?.revision ?? highest, leases, records }, damages };
}

/** Records are never changed, and most of them are the same from one snapshot to the next. */
const encoded = new WeakMap<InstanceRecord, string>();

function encodeRecord(record: InstanceRecord): string {
  let line = encoded.get(record);
  if (line === undefined) encoded.set(record, (line = encodeLine({ record })));
  return line;
}

function encodeLine(line: Line): string {
  const json = JSON.stringify(line);
  return `${checksum(json)} ${json}`;
}

/** @returns the line, or what is wrong with it */
function decodeLine(text: string): Line | string {
  const sum = text.slice(0, 8);
  const json = text.slice(9);
  if (text[8] !== ' ' || checksum(json) !== sum) return 'the checksum does not agree with the line';
  // Ours, byte for byte: the checksum says so.
  return JSON.parse(json) as Line;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
