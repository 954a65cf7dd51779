// The Range header: one range is answered, anything else with the whole, and nothing outside of the file.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseRange } from '../../reactor/static/byte-range.js';
import { SeededRandom } from '../support/seeded-random.js';

const SIZE = 1000;

function chosen(header: string | undefined, size: number = SIZE): string {
  const range = chooseRange(header, size);
  return range.kind === 'part' ? `${range.start}-${range.end}` : range.kind;
}

test('one range of bytes is that part, cut at the end of the file', () => {
  const expected = {
    'bytes=0-0': '0-1',
    'bytes=0-999': '0-1000',
    'bytes=10-19': '10-20',
    'bytes=990-': '990-1000',
    'bytes=999-5000': '999-1000',
    'bytes=-1': '999-1000',
    'bytes=-5000': '0-1000',
    'BYTES=5-6': '5-7',
    'bytes= 5-6 ': '5-7',
    'bytes=0-99999999999999999999999999': '0-1000',
  };
  for (const [header, part] of Object.entries(expected)) assert.equal(chosen(header), part, header);
});

test('a range without a byte of the file is unsatisfiable', () => {
  for (const header of ['bytes=1000-', 'bytes=1000-2000', 'bytes=-0', 'bytes=99999999999999999999999-']) {
    assert.equal(chosen(header), 'unsatisfiable', header);
  }
  assert.equal(chosen('bytes=0-', 0), 'unsatisfiable');
  assert.equal(chosen('bytes=-5', 0), 'unsatisfiable');
});

test('several ranges, other units and nonsense mean the whole file', () => {
  const headers = [
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=5',
    'bytes=5-2',
    'bytes=a-b',
    'bytes=0-1,5-6',
    'bytes=0-1, 5-6',
    'bytes=0-1,',
    'bytes 0-1',
    'lines=0-1',
    'bytes=+1-2',
    'bytes=1.5-2',
    'bytes=0x1-2',
    'bytes=1-2\0',
    'bytes=١-٢',
  ];
  for (const header of headers) assert.equal(chosen(header), 'whole', String(header));
});

test('whatever a header says, a part has at least one byte and lies in the file', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 20_000; round += 1) {
    const size = random.integer(0, 20);
    const text = random.bytes(random.integer(0, 8), Buffer.from('0123456789-, ')).toString('latin1');
    const range = chooseRange(`bytes=${text}`, size);
    if (range.kind !== 'part') continue;
    assert(0 <= range.start && range.start < range.end && range.end <= size, `${text} of ${size}`);
  }
});
