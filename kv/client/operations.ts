// The commands of the store as values: what is sent, and how its outcome reads. Clerk carries one out; a transaction, several.

import type { MessageInit } from '../../rpc/index.js';
import {
  type Command,
  type Compare,
  CompareOperator,
  type KeyRange,
  type Outcome,
  PutCondition,
} from '../proto/kv.js';
import { type BytesLike, bytesOf, bufferOf, KvPair, pairOf } from './pair.js';

/** A command with the type of its answer. */
export interface Operation<A> {
  readonly command: MessageInit<Command>;
  readonly isRead: boolean;
  readonly answerOf: (outcome: Outcome) => A;
}

/** Which keys: those with a prefix, those from `start` up to `end` without it (left out: no bound), or all. */
export type KeySpan =
  | { readonly prefix: BytesLike }
  | { readonly start?: BytesLike; readonly end?: BytesLike }
  | 'all';

export interface PutOptions {
  /** The key dies with it. Default: no lease, whatever it had. */
  readonly lease?: number;
  /** From now, by the store's time. Default: none, whatever it had. */
  readonly ttlMs?: number;
  readonly keepLease?: boolean;
  readonly keepTtl?: boolean;
  /** 'absent': KV_EXISTS where there is such a key; 'present': KV_NOT_FOUND where there is none. */
  readonly only?: 'absent' | 'present';
  readonly wantPrevious?: boolean;
}

export interface PutAnswer {
  readonly revision: number;
  readonly version: number;
  readonly isNew: boolean;
  /** Where it was asked for. */
  readonly previous: KvPair | null;
}

export interface DeleteAnswer {
  readonly revision: number;
  readonly deleted: number;
  readonly previous: readonly KvPair[];
  /** The limit was reached: there are more keys in the range. */
  readonly more: boolean;
}

/** What a compare-and-set expects: a value, revision or version, or that there is no such key. */
export type Expected =
  | { readonly value: BytesLike }
  | { readonly modRevision: number }
  | { readonly version: number }
  | 'absent';

export interface CasAnswer {
  readonly succeeded: boolean;
  readonly revision: number;
  /** What is there now: the new state without its value, or what did not compare. */
  readonly current: KvPair | null;
}

export interface RangeOptions {
  /** 1 to 10,000. Default 1,000; an answer also ends at 1 MiB. */
  readonly limit?: number;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
  /** `lastKey` of the page before. */
  readonly after?: BytesLike;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

export interface RangeAnswer {
  readonly revision: number;
  readonly pairs: readonly KvPair[];
  readonly more: boolean;
  readonly lastKey: Buffer;
  /** Of `count`. */
  readonly count: number;
}

export interface SequentialAnswer {
  readonly revision: number;
  readonly key: Buffer;
  readonly number: number;
}

export function spanOf(span: KeySpan): MessageInit<KeyRange> {
  if (span === 'all') return {};
  if ('prefix' in span) return { prefix: bytesOf(span.prefix) };
  return { start: bytesOf(span.start ?? ''), end: bytesOf(span.end ?? '') };
}

export const op = {
  get(key: BytesLike): Operation<KvPair | null> {
    return read({ get: { key: bytesOf(key) } }, (outcome) => pairOf(outcome.get?.kv));
  },

  put(key: BytesLike, value: BytesLike, options: PutOptions = {}): Operation<PutAnswer> {
    const { only, keepLease, keepTtl, wantPrevious } = options;
    const condition =
      only === undefined
        ? PutCondition.ALWAYS
        : only === 'absent'
          ? PutCondition.IF_ABSENT
          : PutCondition.IF_PRESENT;
    const put = {
      key: bytesOf(key),
      value: bytesOf(value),
      condition,
      ...keeping(options),
      ...(keepLease === undefined ? {} : { keepLease }),
      ...(keepTtl === undefined ? {} : { keepTtl }),
      ...(wantPrevious === undefined ? {} : { wantPrevious }),
    };
    return write({ put }, ({ revision, put: result }) => ({
      revision: Number(revision),
      version: Number(result?.version ?? 0),
      isNew: result?.isNew ?? false,
      previous: pairOf(result?.previous),
    }));
  },

  /** Gives the bytes of the whole value. */
  append(
    key: BytesLike,
    value: BytesLike,
  ): Operation<{ readonly revision: number; readonly length: number }> {
    return write({ append: { key: bytesOf(key), value: bytesOf(value) } }, ({ revision, append }) => ({
      revision: Number(revision),
      length: Number(append?.length ?? 0),
    }));
  },

  delete(key: BytesLike, { wantPrevious = false }: { wantPrevious?: boolean } = {}): Operation<DeleteAnswer> {
    return write({ delete: { key: bytesOf(key), wantPrevious } }, deleteAnswer);
  },

  deleteRange(
    span: KeySpan,
    { wantPrevious = false, limit = 0 }: { wantPrevious?: boolean; limit?: number } = {},
  ): Operation<DeleteAnswer> {
    return write({ deleteRange: { range: spanOf(span), wantPrevious, limit } }, deleteAnswer);
  },

  compareAndSet(
    key: BytesLike,
    expected: Expected,
    newValue: BytesLike | null,
    options: Pick<PutOptions, 'lease' | 'ttlMs' | 'keepLease' | 'keepTtl'> = {},
  ): Operation<CasAnswer> {
    const { keepLease = false, keepTtl = false } = options;
    const compareAndSet = {
      key: bytesOf(key),
      ...expectedOf(expected),
      ...keeping(options),
      keepLease,
      keepTtl,
      ...(newValue === null ? { delete: true } : { newValue: bytesOf(newValue) }),
    };
    return write({ compareAndSet }, ({ revision, compareAndSet: result }) => ({
      succeeded: result?.succeeded ?? false,
      revision: Number(revision),
      current: pairOf(result?.current),
    }));
  },

  range(span: KeySpan, options: RangeOptions = {}): Operation<RangeAnswer> {
    return read({ range: { range: spanOf(span), ...rangeFields(options) } }, rangeAnswer);
  },

  count(span: KeySpan, options: RangeOptions = {}): Operation<RangeAnswer> {
    return read({ range: { range: spanOf(span), ...rangeFields(options), countOnly: true } }, rangeAnswer);
  },

  /** Counts a ttl from now; 0: the key stays for good. Gives whether there is such a key. */
  touch(key: BytesLike, ttlMs: number): Operation<boolean> {
    const touch = { key: bytesOf(key), ttlMs: BigInt(ttlMs) };
    return write({ touch }, (outcome) => outcome.touch?.found ?? false);
  },

  putSequential(
    prefix: BytesLike,
    value: BytesLike,
    options: Pick<PutOptions, 'lease' | 'ttlMs'> = {},
  ): Operation<SequentialAnswer> {
    const putSequential = { prefix: bytesOf(prefix), value: bytesOf(value), ...keeping(options) };
    return write({ putSequential }, sequentialAnswer);
  },
} as const;

/** Conditions of a transaction. A missing key has revisions, version and lease 0, and a value below every other. */
export const when = {
  exists: (key: BytesLike): MessageInit<Compare> => ({ key: bytesOf(key), exists: true }),
  absent: (key: BytesLike): MessageInit<Compare> => ({ key: bytesOf(key), exists: false }),
  value: (key: BytesLike, operator: Comparison, value: BytesLike): MessageInit<Compare> => ({
    key: bytesOf(key),
    operator: OPERATORS[operator],
    value: bytesOf(value),
  }),
  version: (key: BytesLike, operator: Comparison, version: number): MessageInit<Compare> => ({
    key: bytesOf(key),
    operator: OPERATORS[operator],
    version: BigInt(version),
  }),
  modRevision: (key: BytesLike, operator: Comparison, revision: number): MessageInit<Compare> => ({
    key: bytesOf(key),
    operator: OPERATORS[operator],
    modRevision: BigInt(revision),
  }),
  createRevision: (key: BytesLike, operator: Comparison, revision: number): MessageInit<Compare> => ({
    key: bytesOf(key),
    operator: OPERATORS[operator],
    createRevision: BigInt(revision),
  }),
  lease: (key: BytesLike, operator: Comparison, lease: number): MessageInit<Compare> => ({
    key: bytesOf(key),
    operator: OPERATORS[operator],
    lease: BigInt(lease),
  }),
} as const;

export type Comparison = '=' | '!=' | '<' | '>';

const OPERATORS: Readonly<Record<Comparison, CompareOperator>> = {
  '=': CompareOperator.EQUAL,
  '!=': CompareOperator.NOT_EQUAL,
  '<': CompareOperator.LESS,
  '>': CompareOperator.GREATER,
};

export function read<A>(command: MessageInit<Command>, answerOf: (outcome: Outcome) => A): Operation<A> {
  return { command, isRead: true, answerOf };
}

export function write<A>(command: MessageInit<Command>, answerOf: (outcome: Outcome) => A): Operation<A> {
  return { command, isRead: false, answerOf };
}

export function keeping({ lease = 0, ttlMs = 0 }: { lease?: number; ttlMs?: number }): {
  lease: bigint;
  ttlMs: bigint;
} {
  return { lease: BigInt(lease), ttlMs: BigInt(ttlMs) };
}

function expectedOf(
  expected: Expected,
): MessageInit<{ value?: Uint8Array; modRevision?: bigint; version?: bigint; absent?: boolean }> {
  if (expected === 'absent') return { absent: true };
  if ('value' in expected) return { value: bytesOf(expected.value) };
  if ('modRevision' in expected) return { modRevision: BigInt(expected.modRevision) };
  return { version: BigInt(expected.version) };
}

function rangeFields({
  limit = 0,
  reverse = false,
  keysOnly = false,
  after,
  minModRevision = 0,
  maxModRevision = 0,
  minCreateRevision = 0,
  maxCreateRevision = 0,
}: RangeOptions): MessageInit<NonNullable<Command['range']>> {
  return {
    limit,
    reverse,
    keysOnly,
    ...(after === undefined ? {} : { after: bytesOf(after) }),
    minModRevision: BigInt(minModRevision),
    maxModRevision: BigInt(maxModRevision),
    minCreateRevision: BigInt(minCreateRevision),
    maxCreateRevision: BigInt(maxCreateRevision),
  };
}

function rangeAnswer({ revision, range }: Outcome): RangeAnswer {
  return {
    revision: Number(revision),
    pairs: (range?.kvs ?? []).map((kv) => new KvPair(kv)),
    more: range?.more ?? false,
    lastKey: bufferOf(range?.lastKey ?? new Uint8Array()),
    count: Number(range?.count ?? 0),
  };
}

export function deleteAnswer({ revision, delete: result }: Outcome): DeleteAnswer {
  return {
    revision: Number(revision),
    deleted: Number(result?.deleted ?? 0),
    previous: (result?.previous ?? []).map((kv) => new KvPair(kv)),
    more: result?.more ?? false,
  };
}

export function sequentialAnswer({ revision, key }: Outcome): SequentialAnswer {
  return {
    revision: Number(revision),
    key: bufferOf(key?.key ?? new Uint8Array()),
    number: Number(key?.number ?? 0),
  };
}
