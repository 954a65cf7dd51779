import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonTextError, JsonValues } from '../../cli/json-values.js';

const TEXT = '{"a":"}\\"{"}[1,[2]]\n"x\\\\" 12 -1.5e3 true\tnull{}{"b":\n{"c":"[\\u007d"}} 7';
const VALUES = [{ a: '}"{' }, [1, [2]], 'x\\', 12, -1500, true, null, {}, { b: { c: '[}' } }, 7];

test('values are the same wherever the text is cut', () => {
  for (let cut = 0; cut <= TEXT.length; cut += 1) {
    const values = new JsonValues();
    const found = [...values.feed(TEXT.slice(0, cut)), ...values.feed(TEXT.slice(cut)), ...values.end()];
    assert.deepEqual(found, VALUES, `cut at ${cut}`);
  }
  const values = new JsonValues();
  assert.deepEqual([...TEXT.split('').flatMap((char) => values.feed(char)), ...values.end()], VALUES);
});

test('an object is handed out with its last brace, a number only when something follows', () => {
  const values = new JsonValues();
  assert.deepEqual(values.feed('{"text":"hi"'), []);
  assert.deepEqual(values.feed('}'), [{ text: 'hi' }]);
  assert.deepEqual(values.feed('4'), []);
  assert.deepEqual(values.feed('2\n'), [42]);
  assert.deepEqual(values.end(), []);
});

test('what is no JSON is told with the line where its value begins', () => {
  const cases: [text: string, said: RegExp][] = [
    ['{}\n{}\n{"a":nope}', /^line 3: no JSON value/],
    ['{}\n\n {"a":\n\n', /^line 3: no JSON value/],
    ['1\nhello\n', /^line 2: no JSON value/],
    ['}', /^line 1: no JSON value/],
    ['{"a":1]', /^line 1: no JSON value/],
    ['"open', /^line 1: no JSON value/],
  ];
  for (const [text, said] of cases) {
    assert.throws(
      () => {
        const values = new JsonValues();
        values.feed(text);
        values.end();
      },
      (error: unknown) => error instanceof JsonTextError && said.test(error.message),
      text,
    );
  }
});

test('a value that never ends is refused at the limit', () => {
  const values = new JsonValues(100);
  assert.deepEqual(values.feed(`"${'x'.repeat(80)}"`), ['x'.repeat(80)]);
  assert.throws(() => {
    for (let index = 0; index < 20; index += 1) values.feed('"xxxxxxxxx'.slice(index === 0 ? 0 : 1));
  }, /^JsonTextError: line 1: a value is longer than 100 characters$/);
});
