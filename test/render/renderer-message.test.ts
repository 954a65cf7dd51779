// Message v1 on vectors that were packed by hand from its table: TypeScript here, Python by its own unittest module.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  decodeRendererReply,
  decodeRendererRequest,
  encodeRendererReply,
  encodeRendererRequest,
  RenderError,
  type RenderErrorCode,
  RENDERER_OPS,
  rendererReply,
  type RendererReply,
  rendererRequest,
  type RendererRequest,
  replyText,
} from '../../render/index.js';
import { pythonMissing } from '../support/python.js';

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly fields: Record<string, unknown>;
}

const HERE = new URL('../../../test/render/', import.meta.url);
const vectors = JSON.parse(readFileSync(new URL('vectors/renderer-message.json', HERE), 'utf8')) as Record<
  'requests' | 'replies' | 'invalidRequests' | 'invalidReplies',
  Vector[]
>;

test('each request of the vectors is written as its bytes, and read back from them', () => {
  for (const { name, hex, fields } of vectors.requests) {
    const position = (fields['position'] as string[]).map(Number);
    const request = {
      frames: [],
      seed: 0,
      scene: '',
      ...fields,
      requestId: BigInt(fields['requestId'] as string),
      position,
    } as unknown as RendererRequest;
    assert.equal(encodeRendererRequest(request).toString('hex'), hex, name);
    assert.deepEqual(decodeRendererRequest(Buffer.from(hex, 'hex')), request, name);
  }
});

test('each reply of the vectors is written as its bytes, and read back from them', () => {
  for (const { name, hex, fields } of vectors.replies) {
    const body = Buffer.from(fields['body'] as string, 'hex');
    const reply = {
      readOutUs: 0,
      ...fields,
      requestId: BigInt(fields['requestId'] as string),
      body,
    } as unknown as RendererReply;
    assert.equal(encodeRendererReply(reply).toString('hex'), hex, name);
    const decoded = decodeRendererReply(Buffer.from(hex, 'hex'));
    assert.deepEqual({ ...decoded, body: Buffer.from(decoded.body) }, reply, name);
  }
});

test('what is no request and what is no reply is refused', () => {
  for (const { name, hex } of vectors.invalidRequests)
    assert.throws(
      () => decodeRendererRequest(Buffer.from(hex, 'hex')),
      renderError('RENDER_MESSAGE_INVALID'),
      name,
    );
  for (const { name, hex } of vectors.invalidReplies)
    assert.throws(
      () => decodeRendererReply(Buffer.from(hex, 'hex')),
      renderError('RENDER_MESSAGE_INVALID'),
      name,
    );
});

test('a message that could not be read is not written', () => {
  const good = { op: RENDERER_OPS.render, taskCount: 1, width: 1, height: 1, samples: 1 } as const;
  encodeRendererRequest(rendererRequest(good));
  const wrongs: Partial<RendererRequest>[] = [
    { op: 6 as 1 },
    { width: 0 },
    { width: 1.5 },
    { lights: [1] },
    { lightCount: 1, lights: [-1] },
    { serial: 2 ** 32 },
    { requestId: -1n },
    { position: [0, 0, Number.NaN] },
    { frames: [1, 2] },
    { frames: [2 ** 31] },
    { seed: -1 },
    { scene: 'relative.blend' },
    { scene: `/${'a'.repeat(4096)}` },
  ];
  for (const wrong of wrongs)
    assert.throws(
      () => encodeRendererRequest(rendererRequest({ ...good, ...wrong })),
      renderError('RENDER_REQUEST_INVALID'),
    );
});

test('a long error text is shortened to whole characters', () => {
  const request = rendererRequest({ op: RENDERER_OPS.ping });
  const reply = rendererReply(request, { err: 7, text: `.${'ä'.repeat(5000)}` });
  const text = replyText(decodeRendererReply(encodeRendererReply(reply)));
  assert.equal(text, `.${'ä'.repeat(2047)}`);
});

test('Python writes and reads the same vectors', { skip: pythonMissing }, () => {
  const module = fileURLToPath(new URL('python/test_message.py', HERE));
  const { status, stderr } = spawnSync('python3', ['-B', module], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /Ran 6 tests/);
});

function renderError(code: RenderErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof RenderError && error.code === code;
}
