// `reactor-net shm ls | rm | gc` as commands: their flags, and how a segment is named on the command line.
// shm.ts carries them out.

import { type CommandSpec, declareCommand } from './command-spec.js';
import { type Flag, readDuration, readSwitch, UsageError } from './flags.js';

/** An id as the kernel counts them, or a key. */
export type SegmentName = { readonly id: number } | { readonly key: number };

interface CommonFlags {
  json: boolean;
  /** How often owners write their heartbeat; three missed ones are silence. */
  heartbeatMs: number;
}

export type ShmOptions =
  | (CommonFlags & { readonly verb: 'ls' | 'gc' })
  | (CommonFlags & { readonly verb: 'rm'; readonly segments: readonly SegmentName[]; force: boolean });

const GROUP = 'Options:';
const INT_MAX = 2 ** 31 - 1;

const COMMON_FLAGS: { readonly [Key in keyof CommonFlags]: Flag<CommonFlags[Key]> } = {
  heartbeatMs: {
    flag: 'heartbeat',
    value: 'TIME',
    group: GROUP,
    summary: 'how often owners write their heartbeat; three missed ones are silence',
    read: readDuration,
    fallback: 1000,
    fallbackText: '1s',
  },
  json: {
    flag: 'json',
    group: GROUP,
    summary: 'standard output is one JSON object per line',
    read: readSwitch,
    fallback: false,
  },
};

const FORCE: Flag<boolean> = {
  flag: 'force',
  group: GROUP,
  summary: 'also one that is in use: both sides are told that it was given up',
  read: readSwitch,
  fallback: false,
};

export const SHM_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['shm', 'ls'],
    summary: 'list the segments of jbus on this machine',
    flags: COMMON_FLAGS,
    complete: (flags) => ({ kind: 'shm', options: { ...flags, verb: 'ls' } }),
  }),
  declareCommand({
    words: ['shm', 'rm'],
    summary: 'remove segments by id or key; one in use only with --force',
    flags: { force: FORCE, ...COMMON_FLAGS },
    operands: { name: 'segment', summary: 'an id such as 7, or a key such as 0x4a000002' },
    complete: (flags, operands) => ({
      kind: 'shm',
      options: { ...flags, verb: 'rm', segments: operands.map(readSegmentName) },
    }),
  }),
  declareCommand({
    words: ['shm', 'gc'],
    summary: 'remove what dead owners left behind, and nothing else',
    flags: COMMON_FLAGS,
    complete: (flags) => ({ kind: 'shm', options: { ...flags, verb: 'gc' } }),
  }),
];

/** @throws UsageError */
function readSegmentName(text: string): SegmentName {
  const isKey = /^0x[0-9a-f]{1,8}$/i.test(text);
  const number = isKey || /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (isKey && number > 0) return { key: number | 0 }; // the kernel's keys are signed
  if (!isKey && number <= INT_MAX) return { id: number };
  throw new UsageError(`"${text}" should be a segment's id such as 7, or its key such as 0x4a000002`);
}
