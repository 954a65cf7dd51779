// Streams, without consumer groups and without waiting. Ids are given by log time.

import { fail, failArity, failNotInteger, failSyntax, indexOf, optionAt } from './arguments.js';
import type { Keyspace } from '../keyspace.js';
import { NIL_ARRAY, PairsReply, type Reply } from '../reply.js';
import {
  compareIds,
  idAfter,
  idBefore,
  idText,
  STREAM_ID_MAX,
  STREAM_ID_MIN,
  type StreamEntry,
  type StreamId,
  StreamValue,
} from '../values/stream-value.js';
import {
  type CommandContext,
  define,
  NO_KEYS,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  WRITE,
  WRITE_FAST,
  WRITE_GROW_FAST,
} from './command.js';
import { parseIndex } from './numbers.js';

export const STREAM_COMMANDS: readonly RedisCommand[] = [
  define('xadd', -5, WRITE_GROW_FAST, ONE_KEY, 'Appends an entry to a stream.', add),
  define(
    'xlen',
    2,
    READ_FAST,
    ONE_KEY,
    'Returns the number of entries of a stream.',
    ({ keyspace }, args) => {
      return streamAt(keyspace, args[1]!)?.size ?? 0;
    },
  ),
  define('xrange', -4, READ, ONE_KEY, 'Returns a range of entries.', (context, args) =>
    range(context, args, false),
  ),
  define('xrevrange', -4, READ, ONE_KEY, 'Returns a range of entries, the latest first.', (context, args) =>
    range(context, args, true),
  ),
  define('xdel', -3, WRITE_FAST, ONE_KEY, 'Deletes entries of a stream.', ({ keyspace }, args) => {
    if (streamAt(keyspace, args[1]!) === undefined) return 0;
    const ids = args.slice(2).map((text) => idOf(text, 0n));
    const stream = keyspace.writable(args[1]!, 'stream', newStream);
    let deleted = 0;
    for (const id of ids) if (stream.delete(id)) deleted += 1;
    if (deleted > 0) keyspace.changed(args[1]!);
    return deleted;
  }),
  define('xtrim', -4, WRITE, ONE_KEY, 'Deletes the oldest entries of a stream.', ({ keyspace }, args) => {
    const { trim, next } = trimAt(args, 2);
    if (trim === null || next !== args.length) failSyntax();
    if (streamAt(keyspace, args[1]!) === undefined) return 0;
    const removed = trim(keyspace.writable(args[1]!, 'stream', newStream));
    if (removed > 0) keyspace.changed(args[1]!);
    return removed;
  }),
  define('xread', -4, READ, NO_KEYS, 'Returns entries behind given ids; does not wait.', read),
];

const PART_MAX = 0xffff_ffff_ffff_ffffn;
const INVALID_ID = 'ERR Invalid stream ID specified as stream command argument';

type Trim = (stream: StreamValue) => number;

function newStream(): StreamValue {
  return new StreamValue();
}

function streamAt(keyspace: Keyspace, key: string): StreamValue | undefined {
  return keyspace.container<StreamValue>(key, 'stream');
}

function part(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) fail(INVALID_ID);
  const value = BigInt(text);
  return value > PART_MAX ? fail(INVALID_ID) : value;
}

/** `ms-sequence`, or `ms` alone with `sequence` for the rest. */
function idOf(text: string, sequence: bigint): StreamId {
  const dash = text.indexOf('-');
  if (dash === -1) return { ms: part(text), sequence };
  return { ms: part(text.slice(0, dash)), sequence: part(text.slice(dash + 1)) };
}

/** One end of a range; null when it excludes everything. */
function boundOf(text: string, isLow: boolean): StreamId | null {
  if (text === '-') return STREAM_ID_MIN;
  if (text === '+') return STREAM_ID_MAX;
  const isOpen = text[0] === '(';
  const id = idOf(isOpen ? text.slice(1) : text, isLow ? 0n : PART_MAX);
  if (!isOpen) return id;
  const beside = isLow ? idAfter(id) : idBefore(id);
  return beside ?? fail(`ERR invalid ${isLow ? 'start' : 'end'} ID for the interval`);
}

function entryReply({ id, flat }: StreamEntry): Reply {
  return [idText(id), flat];
}

/** `MAXLEN|MINID [=|~] threshold [LIMIT count]` from `at` on. `~` is taken as `=`: trimming exactly is no dearer here. */
function trimAt(args: readonly string[], at: number): { trim: Trim | null; next: number } {
  const way = optionAt(args, at);
  if (way !== 'MAXLEN' && way !== 'MINID') return { trim: null, next: at };
  let place = at + 1;
  const isRough = args[place] === '~';
  if (isRough || args[place] === '=') place += 1;
  const threshold = args[place] ?? failSyntax();
  place += 1;
  if (optionAt(args, place) === 'LIMIT') {
    if (!isRough) fail('ERR syntax error, LIMIT cannot be used without the special ~ option');
    const limit = parseIndex(args[place + 1] ?? failSyntax()) ?? failNotInteger();
    if (limit < 0) fail('ERR The LIMIT argument must be >= 0.');
    place += 2;
  }
  if (way === 'MINID') {
    const least = idOf(threshold, 0n);
    return { trim: (stream) => stream.trimBelow(least), next: place };
  }
  const length = indexOf(threshold);
  if (length < 0) fail('ERR The MAXLEN argument must be >= 0.');
  return { trim: (stream) => stream.trimToLength(length), next: place };
}

function add({ keyspace, nowMs }: CommandContext, args: readonly string[]): Reply {
  let at = 2;
  let trim: Trim | null = null;
  let makes = true;
  for (;;) {
    if (optionAt(args, at) === 'NOMKSTREAM') {
      makes = false;
      at += 1;
      continue;
    }
    const found = trimAt(args, at);
    if (found.trim === null) break;
    trim = found.trim;
    at = found.next;
  }
  const text = args[at] ?? failSyntax();
  const flat = args.slice(at + 1);
  if (flat.length === 0 || flat.length % 2 === 1) failArity('xadd');
  const wanted = wantedId(text);
  const found = streamAt(keyspace, args[1]!);
  if (found === undefined && !makes) return null;
  const id = nextId(found?.lastId ?? STREAM_ID_MIN, wanted, nowMs);
  const stream = keyspace.writable(args[1]!, 'stream', newStream);
  stream.append(id, flat);
  trim?.(stream);
  keyspace.changed(args[1]!);
  return idText(id);
}

interface WantedId {
  /** Null: by log time. */
  readonly ms: bigint | null;
  /** Null: the next one of that ms. */
  readonly sequence: bigint | null;
}

function wantedId(text: string): WantedId {
  if (text === '*') return { ms: null, sequence: null };
  if (text.endsWith('-*')) return { ms: part(text.slice(0, -2)), sequence: null };
  const id = idOf(text, 0n);
  if (compareIds(id, STREAM_ID_MIN) === 0) fail('ERR The ID specified in XADD must be greater than 0-0');
  return id;
}

function nextId(last: StreamId, wanted: WantedId, nowMs: number): StreamId {
  const after =
    idAfter(last) ?? fail('ERR The stream has exhausted the last possible ID, unable to add more items');
  if (wanted.ms === null) return BigInt(nowMs) > last.ms ? { ms: BigInt(nowMs), sequence: 0n } : after;
  if (wanted.sequence === null && wanted.ms === last.ms && last.sequence < PART_MAX) return after;
  const id = { ms: wanted.ms, sequence: wanted.sequence ?? 0n };
  if (compareIds(id, last) <= 0) {
    fail('ERR The ID specified in XADD is equal or smaller than the target stream top item');
  }
  return id;
}

function range({ keyspace }: CommandContext, args: readonly string[], reverse: boolean): Reply {
  const low = boundOf(args[reverse ? 3 : 2]!, true);
  const high = boundOf(args[reverse ? 2 : 3]!, false);
  let limit = Number.POSITIVE_INFINITY;
  if (args.length > 4) {
    if (args.length !== 6 || optionAt(args, 4) !== 'COUNT') failSyntax();
    limit = Math.max(0, indexOf(args[5]!));
  }
  const stream = streamAt(keyspace, args[1]!);
  if (stream === undefined) return [];
  if (limit === 0) return NIL_ARRAY;
  return stream.range(low!, high!, reverse, limit).map(entryReply);
}

function read({ keyspace }: CommandContext, args: readonly string[]): Reply {
  let limit = Number.POSITIVE_INFINITY;
  let at = 1;
  for (; optionAt(args, at) !== 'STREAMS'; at += 2) {
    const option = optionAt(args, at);
    if (at + 1 >= args.length || (option !== 'COUNT' && option !== 'BLOCK')) failSyntax();
    if (option === 'BLOCK') fail('ERR XREAD does not wait here: BLOCK is not supported');
    limit = indexOf(args[at + 1]!);
    if (limit <= 0) limit = Number.POSITIVE_INFINITY;
  }
  const named = args.slice(at + 1);
  if (named.length === 0 || named.length % 2 === 1) {
    fail("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.");
  }
  const keys = named.slice(0, named.length / 2);
  const found = keys.map((key, index) => {
    const stream = streamAt(keyspace, key);
    const text = named[keys.length + index]!;
    // Behind the last entry, which is what `$` says, there is nothing as long as nobody waits.
    return { key, stream, from: text === '$' ? null : idAfter(idOf(text, 0n)) };
  });
  const flat: Reply[] = [];
  for (const { key, stream, from } of found) {
    if (stream === undefined || from === null) continue;
    const entries = stream.range(from, STREAM_ID_MAX, false, limit);
    if (entries.length > 0) flat.push(key, entries.map(entryReply));
  }
  return flat.length === 0 ? NIL_ARRAY : new PairsReply(flat, 'map');
}
