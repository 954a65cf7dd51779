// Conditional requests, as RFC 9110 13 has them: what the client has, what it wants, and what it must not get.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerFile } from '../../reactor/static/file-answer.js';
import { checkPreconditions, rangeApplies } from '../../reactor/static/preconditions.js';
import { parseEntityTags, parseHttpDate, validatorsOf } from '../../reactor/static/validators.js';

const MODIFIED_MS = Date.UTC(2026, 2, 4, 5, 6, 7) + 890;
const FACTS = { sizeBytes: 1000, inode: 77n, modifiedNs: BigInt(MODIFIED_MS) * 1_000_000n };
const NOW_MS = MODIFIED_MS + 3_600_000;
const FILE = validatorsOf(FACTS, NOW_MS);
const FRESH = validatorsOf(FACTS, MODIFIED_MS + 1000);
const AT = 'Wed, 04 Mar 2026 05:06:07 GMT';
const BEFORE = 'Wed, 04 Mar 2026 05:06:06 GMT';
const AFTER = 'Wed, 04 Mar 2026 05:06:08 GMT';
const OTHER = '"other"';

function outcome(headers: Readonly<Record<string, string>>, file: typeof FILE = FILE): string {
  return checkPreconditions((name) => headers[name], file);
}

test('a tag changes with size, time to the nanosecond, and inode', () => {
  const tags = [
    FACTS,
    { ...FACTS, sizeBytes: 1001 },
    { ...FACTS, inode: 78n },
    { ...FACTS, modifiedNs: FACTS.modifiedNs + 1n },
  ].map((facts) => validatorsOf(facts, NOW_MS).entityTag);
  assert.equal(new Set(tags).size, 4);
  for (const tag of tags) assert.match(tag, /^"[\da-z-]+"$/);
});

test('the tag of a file that was just written is weak, and the same otherwise', () => {
  assert.equal(FRESH.entityTag, `W/${FILE.entityTag}`);
  assert.equal(FRESH.isStrong, false);
});

test('what the client has already is not sent again', () => {
  assert.equal(outcome({ 'if-none-match': FILE.entityTag }), 'not-modified');
  assert.equal(outcome({ 'if-none-match': `W/${FILE.entityTag}` }), 'not-modified');
  assert.equal(outcome({ 'if-none-match': `${OTHER}, ${FILE.entityTag} ,"more"` }), 'not-modified');
  assert.equal(outcome({ 'if-none-match': '*' }), 'not-modified');
  assert.equal(outcome({ 'if-none-match': OTHER }), 'proceed');
  assert.equal(outcome({ 'if-modified-since': AT }), 'not-modified');
  assert.equal(outcome({ 'if-modified-since': AFTER }), 'not-modified');
  assert.equal(outcome({ 'if-modified-since': BEFORE }), 'proceed');
});

test('a request for another state of the file fails', () => {
  assert.equal(outcome({ 'if-match': FILE.entityTag }), 'proceed');
  assert.equal(outcome({ 'if-match': '*' }), 'proceed');
  assert.equal(outcome({ 'if-match': OTHER }), 'failed');
  assert.equal(outcome({ 'if-match': `W/${FILE.entityTag}` }), 'failed');
  assert.equal(outcome({ 'if-match': FRESH.entityTag }, FRESH), 'failed');
  assert.equal(outcome({ 'if-match': 'nonsense' }), 'failed');
  assert.equal(outcome({ 'if-unmodified-since': AT }), 'proceed');
  assert.equal(outcome({ 'if-unmodified-since': BEFORE }), 'failed');
});

test('tags count before dates, and If-Match before If-None-Match', () => {
  assert.equal(outcome({ 'if-match': FILE.entityTag, 'if-unmodified-since': BEFORE }), 'proceed');
  assert.equal(outcome({ 'if-none-match': OTHER, 'if-modified-since': AFTER }), 'proceed');
  assert.equal(outcome({ 'if-match': OTHER, 'if-none-match': FILE.entityTag }), 'failed');
  assert.equal(outcome({ 'if-match': FILE.entityTag, 'if-none-match': FILE.entityTag }), 'not-modified');
});

test('dates that are none are as if they were not there', () => {
  for (const date of [
    '',
    'yesterday',
    '2026-03-04',
    '0',
    AT.replace('GMT', 'UTC'),
    AT.replace('Mar', 'Foo'),
  ]) {
    assert.equal(parseHttpDate(date), null, date);
    assert.equal(outcome({ 'if-modified-since': date, 'if-unmodified-since': date }), 'proceed');
  }
});

test('the three forms of a date mean the same', () => {
  const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), ms);
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), ms);
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), ms);
});

test('If-Range asks for the whole file unless the state is surely the same', () => {
  const applies = (ifRange: string, file: typeof FILE = FILE): boolean =>
    rangeApplies((name) => (name === 'if-range' ? ifRange : undefined), file);
  assert(applies(FILE.entityTag) && applies(AT));
  assert(
    rangeApplies(() => undefined, FRESH),
    'without If-Range',
  );
  for (const other of [OTHER, `W/${FILE.entityTag}`, BEFORE, AFTER, 'nonsense', '*'])
    assert(!applies(other), other);
  assert(!applies(FRESH.entityTag, FRESH) && !applies(FILE.entityTag, FRESH) && !applies(AT, FRESH));
});

test('a list of tags is read to its end or not at all', () => {
  assert.deepEqual(parseEntityTags('"a", W/"b","c,d" , ""'), ['"a"', 'W/"b"', '"c,d"', '""']);
  assert.equal(parseEntityTags(' * '), '*');
  for (const text of ['a', '"a', '"a" "b"', '"a", b', 'w/"a"', '"a\0"', '"a",*']) {
    assert.equal(parseEntityTags(text), null, text);
  }
});

test('an answer says what it is a part of', () => {
  const answer = (method: 'GET' | 'HEAD', headers: Readonly<Record<string, string>>): unknown => {
    const presentation = { contentType: 'text/css', cacheControl: 'max-age=5' };
    const {
      status,
      start,
      end,
      headers: said,
    } = answerFile(method, (name) => headers[name], FACTS, presentation, NOW_MS);
    return { status, start, end, range: said['content-range'], tag: said['etag'] };
  };
  const tag = FILE.entityTag;
  const whole = { status: 200, start: 0, end: 1000, range: undefined, tag };
  assert.deepEqual(answer('GET', {}), whole);
  assert.deepEqual(answer('GET', { range: 'bytes=1-2' }), {
    ...whole,
    status: 206,
    start: 1,
    end: 3,
    range: 'bytes 1-2/1000',
  });
  assert.deepEqual(answer('HEAD', { range: 'bytes=1-2' }), whole);
  assert.deepEqual(answer('GET', { range: 'bytes=1-2', 'if-range': OTHER }), whole);
  assert.deepEqual(answer('GET', { range: 'bytes=1000-' }), {
    status: 416,
    start: 0,
    end: 0,
    range: 'bytes */1000',
    tag: undefined,
  });
  assert.deepEqual(answer('GET', { range: 'bytes=1-2', 'if-none-match': tag }), {
    status: 304,
    start: 0,
    end: 0,
    range: undefined,
    tag,
  });
});
