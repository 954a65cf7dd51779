import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { LiveView } from '../../cli/live-view.js';

const FIGURES = { rss: 2 ** 20, heapUsed: 0, threads: [] };

/** Starts a view and gives its standard output, which says of itself whether it is a terminal. */
function view(t: TestContext, isTTY: boolean, json: boolean): PassThrough {
  const stdout = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns: 100 });
  const io = { stdout, stderr: new PassThrough(), environment: {} };
  const shown = new LiveView(io, () => FIGURES, { json, statsIntervalMs: 60_000 });
  t.after(() => shown.close());
  return stdout;
}

/** What was written once everything that was under way has been. */
async function written(stdout: PassThrough): Promise<string> {
  await new Promise((resolve) => setImmediate(resolve));
  return (stdout.read() as string | null) ?? '';
}

test('on a terminal one line is rewritten in place', async (t) => {
  const text = await written(view(t, true, false));
  assert.equal(text, '\r\u001b[2K0 req/s  0 connections  rss 1 MiB  thread load ');
});

test('with --json each look is a line, on a terminal and elsewhere', async (t) => {
  for (const isTTY of [true, false]) {
    const text = await written(view(t, isTTY, true));
    assert(text.endsWith('\n'));
    assert.equal((JSON.parse(text) as { event: string }).event, 'stats');
  }
});

test('a log file is left alone', async (t) => {
  assert.equal(await written(view(t, false, false)), '');
});
