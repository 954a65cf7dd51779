// docs/rpc-wire.md against the code: its examples are decoded, and played byte for byte to a real server and to a client
// of ours; its tables say what the code's tables say.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import * as limits from '../../rpc/limits.js';
import { GOAWAY_REASON } from '../../rpc/wire/control-frames.js';
import { FRAME } from '../../rpc/wire/frame-types.js';
import { STATUS } from '../../rpc/status.js';
import { RawClient } from '../support/raw-client.js';
import { startServer } from './support/rpc-pair.js';
import { frameName, framesOf, reencoded } from './support/wire-frames.js';

const DOCUMENT = readFileSync(fileURLToPath(new URL('../../../docs/rpc-wire.md', import.meta.url)), 'utf8');

interface ShownFrame {
  readonly from: 'client' | 'server';
  readonly type: string;
  readonly wire: Buffer;
}
interface Example {
  readonly title: string;
  readonly frames: readonly ShownFrame[];
}

const EXAMPLES = examples();

function examples(): Example[] {
  const found: Example[] = [];
  let title = '';
  let block: string[] | null = null;
  let isAfterHello = false;
  for (const line of DOCUMENT.split('\n')) {
    if (block === null) {
      if (line.startsWith('### ')) title = line.slice('### '.length);
      const opening = /^```frames( after-hello)?$/.exec(line);
      if (opening === null) continue;
      block = [];
      isAfterHello = opening[1] !== undefined;
    } else if (line === '```') {
      const greeting = isAfterHello ? found[0]!.frames.filter(({ type }) => type === 'HELLO') : [];
      found.push({ title, frames: [...greeting, ...shownFrames(block)] });
      block = null;
    } else {
      block.push(line);
    }
  }
  return found;
}

function shownFrames(lines: readonly string[]): ShownFrame[] {
  const frames: { from: 'client' | 'server'; type: string; hex: string }[] = [];
  for (const line of lines) {
    const [code = ''] = line.split('#');
    const head = /^(client|server) (\w+)$/.exec(code.trim());
    if (head !== null) frames.push({ from: head[1] as 'client' | 'server', type: head[2]!, hex: '' });
    else if (code.trim() !== '') frames.at(-1)!.hex += code.replaceAll(/\s/g, '');
  }
  return frames.map(({ from, type, hex }) => ({ from, type, wire: Buffer.from(hex, 'hex') }));
}

test('the document shows a conversation of each kind', () => {
  assert(EXAMPLES.length >= 8, `${EXAMPLES.length} examples were found`);
});

for (const { title, frames } of EXAMPLES) {
  test(`the example '${title}' is decoded, and encoded to what the document shows`, () => {
    for (const { from, type, wire } of frames) {
      const [frame, ...more] = framesOf(wire);
      assert(frame !== undefined && more.length === 0, 'one frame');
      assert.equal(frameName(frame.msgId), type);
      if (title === 'Later versions only' && type === 'HELLO') continue; // it is there to be refused
      assert.deepEqual(reencoded(frame, from), frame);
    }
  });

  test(`a real server answers the example '${title}' byte for byte`, async (t) => {
    const { target } = await startServer(t);
    const peer = await RawClient.connect(t, Number(target.split(':')[1]));
    let expected = Buffer.alloc(0);
    for (const { from, wire } of frames) {
      if (from === 'client') {
        peer.write(wire);
        continue;
      }
      expected = Buffer.concat([expected, wire]);
      const received = await peer.receive(expected.length);
      assert.equal(received.toString('hex', 0, expected.length), expected.toString('hex'));
    }
    assert.equal(peer.receivedBytes, expected.length, 'and nothing else');
  });
}

/** The rows of the first table whose header begins with these cells. */
function table(...header: readonly string[]): string[][] {
  const lines = DOCUMENT.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${header.join(' | ')} |`));
  assert(start >= 0, `there is a table ${header.join(', ')}`);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );
}

test('the table of frames has the ids of the code', () => {
  const shown = new Map(table('msgId', 'frame').map(([id, name]) => [name, Number(id)]));
  assert.deepEqual(Object.fromEntries(shown), FRAME);
});

test('the table of statuses has the numbers of the code', () => {
  const shown: Record<string, number> = {};
  for (const cells of table('status', 'name', 'status')) {
    for (let at = 0; at + 1 < cells.length; at += 2) {
      if (cells[at] !== '') shown[cells[at + 1]!] = Number(cells[at]);
    }
  }
  assert.deepEqual(shown, STATUS);
});

test('the limits that the document names are those of the code', () => {
  const sizes: readonly number[] = [
    limits.FRAME_PAYLOAD_BYTES_MAX,
    limits.FRAME_BODY_BYTES_MAX,
    limits.MESSAGE_BYTES_MAX,
    limits.METADATA_BYTES_MAX,
    limits.STREAM_WINDOW_BYTES,
    limits.CONNECTION_WINDOW_BYTES,
    limits.STREAMS_MAX,
    limits.WINDOW_BYTES_MIN,
    limits.WINDOW_BYTES_MAX,
    limits.INLINE_BYTES_MAX,
    limits.STATUS_TEXT_BYTES_MAX,
    limits.STATUS_DETAILS_BYTES_MAX,
    limits.PATH_BYTES_MAX,
  ];
  for (const size of sizes) {
    const shown = size.toLocaleString('en-US');
    assert(DOCUMENT.includes(shown), `${shown} is in the document`);
  }
});

test('every reason of GOAWAY that is sent has its row', () => {
  const rows = table('reason', 'why', 'what the client does');
  const shown = new Set(rows.flatMap(([cell]) => cell!.split(', ').map(Number)));
  for (const [name, reason] of Object.entries(GOAWAY_REASON)) {
    assert(shown.has(reason), name);
  }
});
