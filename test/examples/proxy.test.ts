import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAddon } from '../../addon/index.js';
import { connectTo, type Example, startExample, stopExample } from '../support/example.js';
import { until } from '../support/until.js';

const PAYLOAD = Buffer.alloc(20_000_000, 'every byte counts; ');
const PAYLOAD_HASH = hashOf(PAYLOAD);
/** Of 40 MB that pass. Without the addon Node allocates anew for every read, and collects the garbage late. */
const GROWTH_MAX = loadAddon() === null ? 2 * PAYLOAD.length : PAYLOAD.length / 2;

test('proxy: 20 MB each way past readers that stop reading arrive whole, in little memory', async (t) => {
  const { proxy, visitor, upstream } = await relay(t);
  const peakBefore = await peakBytes(proxy);
  for (const socket of [visitor, upstream]) socket.end(PAYLOAD);
  await stall([visitor, upstream]);
  const hashes = await Promise.all([readSlowly(visitor), readSlowly(upstream)]);
  assert.deepEqual(hashes, [PAYLOAD_HASH, PAYLOAD_HASH]);
  const growth = (await peakBytes(proxy)) - peakBefore;
  assert(growth < GROWTH_MAX, `the proxy grew by ${growth} bytes`);
  await stopExample(proxy);
});

test('proxy: who has sent FIN still gets the answer, from either side', async (t) => {
  const first = await relay(t);
  first.visitor.end('question');
  assert.equal(await textOf(first.upstream), 'question');
  first.upstream.end('answer');
  assert.equal(await textOf(first.visitor), 'answer');

  const second = await relay(t, first);
  second.upstream.end('banner');
  assert.equal(await textOf(second.visitor), 'banner');
  second.visitor.end('late words');
  assert.equal(await textOf(second.upstream), 'late words');
  await stopExample(first.proxy);
});

test('proxy: a reset on one side is a reset on the other', async (t) => {
  const first = await relay(t);
  await passOneByte(first);
  first.upstream.resetAndDestroy();
  const [toVisitor] = (await once(first.visitor, 'error')) as [NodeJS.ErrnoException];
  assert.equal(toVisitor.code, 'ECONNRESET');

  const second = await relay(t, first);
  await passOneByte(second);
  second.visitor.resetAndDestroy();
  const [toUpstream] = (await once(second.upstream, 'error')) as [NodeJS.ErrnoException];
  assert.equal(toUpstream.code, 'ECONNRESET');
  assert.equal(await first.proxy.command.stop('SIGINT'), 0);
});

test('proxy: a visitor is let go when nobody listens upstream, and the proxy goes on', async (t) => {
  const proxy = await startExample(t, 'proxy', { UPSTREAM_PORT: '1' });
  for (const said of ['anybody there?', 'and now?']) {
    const visitor = await connectTo(t, proxy.port);
    visitor.resume().on('error', () => {}); // closing with unread bytes may be an RST
    visitor.write(said);
    await once(visitor, 'close');
  }
  await until(() => proxy.command.stderr.includes('ECONNREFUSED'));
  assert.equal(await proxy.command.stop('SIGINT'), 0);
});

interface Relay {
  readonly proxy: Example;
  readonly upstreamServer: net.Server;
  /** Both ends, connected through the proxy; neither reads yet. */
  readonly visitor: net.Socket;
  readonly upstream: net.Socket;
}

/** A visitor and the upstream's side of it, through a new proxy or the one of `former`. */
async function relay(t: TestContext, former?: Relay): Promise<Relay> {
  const upstreamServer = former?.upstreamServer ?? net.createServer({ allowHalfOpen: true });
  if (former === undefined) {
    t.after(() => upstreamServer.close());
    upstreamServer.listen(0, '127.0.0.1');
    await once(upstreamServer, 'listening');
  }
  const { port } = upstreamServer.address() as net.AddressInfo;
  const proxy = former?.proxy ?? (await startExample(t, 'proxy', { UPSTREAM_PORT: String(port) }));
  const accepted = once(upstreamServer, 'connection') as Promise<[net.Socket]>;
  const visitor = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  const [upstream] = await accepted;
  t.after(() => void [visitor, upstream].map((socket) => socket.destroy()));
  return { proxy, upstreamServer, visitor, upstream };
}

/** Afterwards both halves of the relay are known to be in place. */
async function passOneByte({ visitor, upstream }: Relay): Promise<void> {
  visitor.write('!');
  await once(upstream, 'data');
}

/** Resolves when neither sender has got rid of a byte for a while: every buffer on the way is full. */
async function stall(senders: readonly net.Socket[]): Promise<void> {
  const waitingNow = (): number => senders.reduce((sum, socket) => sum + socket.writableLength, 0);
  let waiting = waitingNow();
  for (let quietTurns = 0; quietTurns < 10; ) {
    await delay(20);
    const left = waitingNow();
    quietTurns = left === waiting ? quietTurns + 1 : 0;
    waiting = left;
  }
}

/** Takes one chunk per turn of the loop. */
async function readSlowly(socket: net.Socket): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    hash.update(chunk as Buffer);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return hash.digest('hex');
}

/** Everything up to the peer's FIN; the socket can still write. */
async function textOf(socket: net.Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'end');
  return text;
}

/** The most memory the proxy ever had. */
async function peakBytes({ command }: Example): Promise<number> {
  const status = await readFile(`/proc/${command.child.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
