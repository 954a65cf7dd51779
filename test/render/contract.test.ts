import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Code, Emulate, ErrCode, PixelFormat, SlaveEmulate } from '../../render/proto/render.js';
import { generate, readProtoFiles } from '../../rpc/index.js';

const PROTO = new URL('../../../render/proto/render.proto', import.meta.url);

test('the TypeScript of the contract is what our generator makes of its .proto', () => {
  const [module] = generate(readProtoFiles(PROTO), { runtime: '../../rpc/index.js' });
  assert.equal(module!.text, readFileSync(new URL('./render.ts', PROTO), 'utf8'));
});

test('the field numbers are those that drivers and nodes of the design notes use', () => {
  const fields = fieldsOf(readFileSync(PROTO, 'utf8'));
  const told = (message: string) =>
    Object.entries(fields[message]!)
      .toSorted((a, b) => a[1] - b[1])
      .map(([name, number]) => `${name}=${number}`)
      .join(' ');
  assert.equal(told('Serial'), 'serial=1 epoch=2');
  assert.equal(told('Status'), 'code=1 message=2 retry_after_ms=3');
  assert.equal(told('RegisteDriverRsp'), 'status=1 serial=2 heartbeat_ms=3 lives=4');
  assert.equal(
    told('RenderReq'),
    'id=1 task_count=2 light_count=3 lights=4 width=5 height=6 samples=7 format=8 request_id=9 deadline_ms=10 ' +
      'priority=11 frames=12 scene=13 tag=14 seed=15 detached=16 position=17',
  );
  assert.equal(
    told('RenderRsp'),
    'id=1 status=2 task_count=3 width=4 height=5 imgs=6 format=7 tasks=8 chunk=9 last=10 job=11',
  );
  assert.equal(
    told('NodeInfo'),
    'access_url=1 access_port=2 weight=3 name=4 tags=5 slots=6 version=7 token=8',
  );
  assert.equal(told('NodeHeartBeat'), 'serial=1 load=2 running_tasks=3 processes=4');
  assert.equal(
    told('Load'),
    'cpu=1 mem=2 gpu=3 queued=4 running=5 slots=6 slots_max=7 draining=8 gpu_temp=9 cpu_others=10',
  );
  assert.equal(
    told('SlaveRenderReq'),
    'position=1 task_count=2 light_count=3 lights=4 request_id=5 version=6 first_index=7 width=8 height=9 ' +
      'samples=10 format=11 deadline_ms=12 scene=13 frames=14 seed=15',
  );
  assert.equal(
    told('SlaveRenderRsp'),
    'status=1 task_count=2 width=3 height=4 imgs=5 request_id=6 version=7 format=8 tasks=9 chunk=10 last=11',
  );
  assert.equal(told('TaskStatus'), 'index=1 code=2 attempts=3 render_ms=4 node=5 error=6 times=7');
});

test('the numbers of codes and formats are those of the design notes', () => {
  assert.deepEqual(Object.values(Code), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal(
    Object.keys(Code).join(),
    'OK,UNAUTHORIZED,OVERLOAD,TIMEOUT,NOT_FOUND,INVALID_ARGUMENT,CANCELED,EXHAUSTED,UNAVAILABLE,INTERNAL,VERSION_MISMATCH,PARTIAL',
  );
  assert.equal(ErrCode.EC_STALE_VERSION, 14);
  assert.deepEqual(Object.keys(PixelFormat), ['GRAY8', 'RGB8', 'RGBA8', 'RGBA32F', 'PNG', 'EXR']);
});

test('Render is unary and RenderStream brings images as they come', () => {
  assert.deepEqual(
    Object.values(Emulate.methods).map(({ name, kind }) => `${name} ${kind}`),
    [
      'RegisterDriver unary',
      'UnRegisterDriver unary',
      'HeartBeatUser unary',
      'Move unary',
      'GetPosition unary',
      'Render unary',
      'RenderStream server-stream',
      'Cancel unary',
      'RegisterNode unary',
      'UnRegisterNode unary',
      'HeartBeatNode unary',
    ],
  );
  assert.deepEqual(
    Object.values(SlaveEmulate.methods).map(({ name, kind }) => `${name} ${kind}`),
    ['Render unary', 'RenderStream server-stream', 'Cancel unary', 'Drain unary'],
  );
});

/** Message name to field name to number, read from the text and not from our own parser. */
function fieldsOf(proto: string): Record<string, Record<string, number>> {
  const messages = [...proto.matchAll(/^message (\w+) \{\n([^}]*)\}/gm)];
  return Object.fromEntries(
    messages.map(([, name, body]) => [
      name,
      Object.fromEntries([...body!.matchAll(/(\w+) = (\d+);/g)].map((match) => [match[1], Number(match[2])])),
    ]),
  );
}
