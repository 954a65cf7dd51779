import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

// Each case is a process of its own, because only there can garbage be collected on demand.

interface Findings {
  readonly leaks: readonly { readonly bytes: number; readonly acquiredAt: string | null }[];
  readonly suspectedLeaks: number;
  readonly lentBytes: number;
  readonly usedBytes: number;
}

const REACTOR = new URL('../../reactor/', import.meta.url).href;

async function runInChild(
  options: object,
  body: string,
  nodeOptions: readonly string[] = [],
): Promise<string> {
  const script = `
    import { BufferPool } from '${REACTOR}buffer-pool.js';
    import { SharedBudget } from '${REACTOR}shared-budget.js';
    import { tlvCodec } from '${REACTOR}codecs/tlv-codec.js';
    const budget = SharedBudget.create(64 * 1024 * 1024, 1);
    const leaks = [];
    const pool = new BufferPool(${JSON.stringify(options)}, 0, budget, (leak) => leaks.push(leak));
    const findings = () => JSON.stringify({ leaks, ...pool.stats(), usedBytes: budget.usedBytes() });
    const collectUntil = async (isDone, roundsMax = 1000) => {
      for (let round = 0; round < roundsMax && !isDone(); round += 1) {
        globalThis.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    ${body}`;
  const args = ['--expose-gc', ...nodeOptions, '--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
  return stdout;
}

const LOSE_ONE = `
  function losesItsBuffer() { pool.acquire(10_000); }
  losesItsBuffer();
  const held = pool.acquire(1);
  await collectUntil(() => pool.stats().suspectedLeaks === 1);
  console.log(findings());
  held.release();
  pool.close();`;

test('a lost buffer is reported with the stack that acquired it, and its budget returns', async () => {
  const found = JSON.parse(await runInChild({ leakSampleEvery: 1 }, LOSE_ONE)) as Findings;
  assert.equal(found.suspectedLeaks, 1);
  assert.equal(found.leaks[0]?.bytes, 16_384);
  assert.match(found.leaks[0]?.acquiredAt ?? '', /losesItsBuffer/);
  assert.equal(found.lentBytes, 4096);
  assert.equal(found.usedBytes, 4096);
});

test('a lost buffer that was not sampled is still counted, without a stack', async () => {
  const found = JSON.parse(await runInChild({}, LOSE_ONE)) as Findings;
  assert.deepEqual(found.leaks, [{ bytes: 16_384, acquiredAt: null }]);
});

test('one loan in leakSampleEvery keeps its stack', async () => {
  const loseMany = `
    for (let lost = 0; lost < 64; lost += 1) pool.acquire(1);
    await collectUntil(() => pool.stats().suspectedLeaks === 64);
    console.log(findings());`;
  const found = JSON.parse(await runInChild({ leakSampleEvery: 16 }, loseMany)) as Findings;
  assert.equal(found.leaks.filter(({ acquiredAt }) => acquiredAt !== null).length, 4);
});

test('a decoder lost with kept bytes is found, since it holds a slab', async () => {
  const loseDecoder = `
    const sink = { onFrame: () => true };
    (() => tlvCodec().createDecoder(pool).feed(Buffer.from([1, 0, 0]), sink))();
    await collectUntil(() => pool.stats().suspectedLeaks === 1);
    console.log(findings());`;
  const found = JSON.parse(await runInChild({ leakDetection: 'paranoid' }, loseDecoder)) as Findings;
  assert.match(found.leaks[0]?.acquiredAt ?? '', /FrameAssembler/);
});

test('buffers that come back, are trimmed or lie idle are no leaks; off finds nothing', async () => {
  const orderly = `
    for (let round = 0; round < 20; round += 1) {
      const lent = [1, 5000, 100_000, 9_000_000].map((bytes) => pool.acquire(bytes));
      for (const buffer of lent) buffer.release();
      pool.trim();
    }
    pool.trim();
    if (pool.stats().idleBytes !== 0) throw new Error('idle after two windows without a loan');
    pool.acquire(1).release();
    await collectUntil(() => leaks.length > 0, 20);
    console.log(findings());`;
  for (const leakDetection of ['sampled', 'paranoid']) {
    const found = JSON.parse(await runInChild({ leakDetection }, orderly)) as Findings;
    assert.equal(found.suspectedLeaks, 0, leakDetection);
    assert.equal(found.usedBytes, 4096);
  }
  const off = `
    pool.acquire(1);
    await collectUntil(() => leaks.length > 0, 20);
    console.log(findings());`;
  assert.equal((JSON.parse(await runInChild({ leakDetection: 'off' }, off)) as Findings).suspectedLeaks, 0);
});

test('decoding whole frames allocates nothing, and an idle decoder takes at most 120 bytes', async () => {
  const measure = `
    const codec = tlvCodec();
    const frame = Buffer.alloc(codec.encodedBytes(1, Buffer.alloc(64)));
    codec.encodeInto(frame, 0, 1, Buffer.alloc(64));
    const chunk = Buffer.concat(Array.from({ length: 900 }, () => frame));
    let frames = 0;
    const sink = { onFrame: () => { frames += 1; return true; } };
    const decoder = codec.createDecoder(pool);
    for (let round = 0; round < 500; round += 1) decoder.feed(chunk, sink);
    globalThis.gc();
    const before = process.memoryUsage().heapUsed;
    frames = 0;
    for (let round = 0; round < 500; round += 1) decoder.feed(chunk, sink);
    const decodeBytes = process.memoryUsage().heapUsed - before;
    globalThis.gc();
    const empty = process.memoryUsage().heapUsed;
    const idle = Array.from({ length: 50_000 }, () => codec.createDecoder(pool));
    globalThis.gc();
    const idleBytes = (process.memoryUsage().heapUsed - empty) / idle.length;
    console.log(JSON.stringify({ frames, bytesPerFrame: decodeBytes / frames, idleBytes }));`;
  // The young generation is large enough that nothing is collected while we count.
  const { frames, bytesPerFrame, idleBytes } = JSON.parse(
    await runInChild({}, measure, ['--min-semi-space-size=64', '--max-semi-space-size=64']),
  ) as { frames: number; bytesPerFrame: number; idleBytes: number };
  assert.equal(frames, 450_000);
  assert.ok(bytesPerFrame < 1, `${bytesPerFrame} bytes a frame`);
  assert.ok(idleBytes <= 120, `${idleBytes} bytes a decoder, of which 8 are its place in our array`);
});
