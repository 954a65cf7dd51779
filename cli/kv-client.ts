// The commands on keys: get, put, append, del, cas, scan. Each is one or a few requests of a clerk, and a line per fact.

import { writeFileSync } from 'node:fs';
import { type Clerk, type Expected, type KeySpan, op, type RangeAnswer } from '../kv/index.js';
import type {
  KvAppendOptions,
  KvCasOptions,
  KvDelOptions,
  KvGetOptions,
  KvPutOptions,
  KvScanOptions,
} from './kv-client-command.js';
import { bytesOfText, pairFacts, shownBytes, valueOf, withClerk } from './kv-session.js';
import { EXIT_FAILED, type Io } from './main.js';

export function kvGet(options: KvGetOptions, io: Io): Promise<number> {
  const { hex, json, level, file } = options;
  const key = bytesOfText(options.key, hex);
  return withClerk(options, io, async (clerk) => {
    const { answer: pair, revision, isStale } = await clerk.inquire(op.get(key), { level });
    const marks = { revision, ...(isStale ? { stale: true } : {}) };
    if (pair === null) {
      say(io, json, { event: 'missing', ...marks }, null);
      return EXIT_FAILED;
    }
    if (file !== null) {
      writeFileSync(file, pair.value);
      say(io, json, { event: 'value', ...pairFacts(pair, hex, false), file, ...marks }, null);
    } else if (pair.type !== '') {
      say(io, json, { event: 'value', ...pairFacts(pair, hex, true), ...marks }, `(${pair.type})`);
    } else {
      say(io, json, { event: 'value', ...pairFacts(pair, hex, true), ...marks }, shownBytes(pair.value, hex));
    }
    return 0;
  });
}

export async function kvPut(options: KvPutOptions, io: Io): Promise<number> {
  const { hex, json, ttlMs, lease, only } = options;
  const key = bytesOfText(options.key, hex);
  const value = await valueOf(options, io);
  return withClerk(options, io, async (clerk) => {
    const { revision, version, isNew } = await clerk.put(key, value, {
      ttlMs,
      lease,
      ...(only === null ? {} : { only }),
    });
    say(io, json, { event: 'put', revision, version, isNew }, `revision ${revision}, version ${version}`);
    return 0;
  });
}

export async function kvAppend(options: KvAppendOptions, io: Io): Promise<number> {
  const { hex, json } = options;
  const key = bytesOfText(options.key, hex);
  const value = await valueOf(options, io);
  return withClerk(options, io, async (clerk) => {
    const { length, revision } = await clerk.execute(op.append(key, value));
    say(io, json, { event: 'append', revision, length }, `revision ${revision}, ${length} bytes`);
    return 0;
  });
}

/** Exit code 1 where nothing was deleted. */
export function kvDel(options: KvDelOptions, io: Io): Promise<number> {
  const { hex, json, prefix: isPrefix } = options;
  const keys = options.keys.map((key) => bytesOfText(key, hex));
  return withClerk(options, io, async (clerk) => {
    let deleted = 0;
    let revision = 0;
    for (const key of keys) {
      let more = true;
      while (more) {
        const answer = await clerk.execute(isPrefix ? op.deleteRange({ prefix: key }) : op.delete(key));
        deleted += answer.deleted;
        ({ revision, more } = answer);
      }
    }
    say(io, json, { event: 'del', revision, deleted }, `${deleted} deleted`);
    return deleted > 0 ? 0 : EXIT_FAILED;
  });
}

export async function kvCas(options: KvCasOptions, io: Io): Promise<number> {
  const { hex, json } = options;
  const key = bytesOfText(options.key, hex);
  const expected = expectedOf(options);
  const value = options.delete ? null : await valueOf(options, io);
  return withClerk(options, io, async (clerk) => {
    const { succeeded, revision, current } = await clerk.compareAndSet(key, expected, value);
    const facts = current === null ? {} : { current: pairFacts(current, hex, !succeeded) };
    const found = current === null ? 'there is no such key' : `there is ${shownBytes(current.value, hex)}`;
    const text = succeeded ? `done, revision ${revision}` : `not done: ${found}`;
    say(io, json, { event: 'cas', succeeded, revision, ...facts }, text);
    return succeeded ? 0 : EXIT_FAILED;
  });
}

export function kvScan(options: KvScanOptions, io: Io): Promise<number> {
  const { hex, json, level, limit, reverse, keysOnly } = options;
  const span = spanOf(options);
  return withClerk(options, io, async (clerk) => {
    if (options.count) {
      const count = await countOf(clerk, span, options);
      say(io, json, { event: 'count', count }, String(count));
      return 0;
    }
    let left = limit;
    const pages = { level, reverse, keysOnly, limit: Math.min(limit, PAGE) };
    for await (const pair of clerk.scan(span, pages)) {
      if (left === 0) break;
      left -= 1;
      const key = shownBytes(pair.key, hex);
      const value = pair.type === '' ? shownBytes(pair.value, hex) : `(${pair.type})`;
      say(
        io,
        json,
        { event: 'pair', ...pairFacts(pair, hex, !keysOnly) },
        keysOnly ? key : `${key}\t${value}`,
      );
    }
    return 0;
  });
}

/** Keys of one request. */
const PAGE = 1000;

/** One command looks at a bounded number of keys. */
async function countOf(clerk: Clerk, span: KeySpan, { level }: KvScanOptions): Promise<number> {
  let count = 0;
  let after: Buffer | null = null;
  for (;;) {
    const page: RangeAnswer = await clerk.execute(op.count(span, after === null ? {} : { after }), { level });
    count += page.count;
    if (!page.more) return count;
    after = page.lastKey;
  }
}

function expectedOf({ expect, expectVersion, expectRevision, hex }: KvCasOptions): Expected {
  if (expect !== null) return { value: bytesOfText(expect, hex) };
  if (expectVersion !== null) return { version: expectVersion };
  if (expectRevision !== null) return { modRevision: expectRevision };
  return 'absent';
}

function spanOf({ prefix, start, end, hex }: KvScanOptions): KeySpan {
  if (prefix !== '') return { prefix: bytesOfText(prefix, hex) };
  return {
    ...(start === null ? {} : { start: bytesOfText(start, hex) }),
    ...(end === null ? {} : { end: bytesOfText(end, hex) }),
  };
}

/** @param text null: nothing for people */
export function say(io: Io, json: boolean, facts: object, text: string | null): void {
  if (json) io.stdout.write(`${JSON.stringify(facts)}\n`);
  else if (text !== null) io.stdout.write(`${text}\n`);
}
