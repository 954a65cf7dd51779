// Sessions in memory against peers and handlers that do what they should not: each test is named after what went wrong.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';

import { Metadata, RpcError, type ServerCall } from '../../rpc/index.js';
import { GatherBudget, type Gatherer } from '../../rpc/session/gather-budget.js';
import { MessageAssembly } from '../../rpc/session/message-assembly.js';
import type { ServerSession } from '../../rpc/session/server-session.js';
import type { SessionOptions } from '../../rpc/session/session-options.js';
import { readGoaway } from '../../rpc/wire/control-frames.js';
import { readStatus } from '../../rpc/wire/call-frames.js';
import { FLAG_COMPRESSED, FLAG_END, FLAG_MORE, FRAME } from '../../rpc/wire/frame-types.js';
import { deferred } from './support/deferred.js';
import { ECHO, echoService, type EchoHandlers, type SayRequest } from './support/echo.js';
import { carry, memoryClient, type MemoryLink, MemoryServer } from './support/memory-rpc.js';
import * as wire from './support/wire-frames.js';
import type { WireFrame } from './support/wire-frames.js';

const METADATA_BYTES_MAX = 8192;
const MIB = 1024 * 1024;

interface Peer {
  readonly server: MemoryServer;
  readonly session: ServerSession;
  readonly link: MemoryLink;
  readonly say: (...frames: readonly WireFrame[]) => void;
  /** The status of a stream, once handlers had their turns. */
  readonly status: (streamId: number) => Promise<RpcError | null | undefined>;
}

/** A client that has greeted. */
function peer(t: TestContext, handlers: EchoHandlers = {}, options: SessionOptions = {}): Peer {
  const server = new MemoryServer([echoService(handlers)], options);
  t.after(() => server.close());
  const { link, session } = server.connect();
  const say = (...frames: readonly WireFrame[]): void => {
    for (const { msgId, body } of frames) session.receive(msgId, body);
  };
  say(wire.hello());
  link.take();
  return {
    server,
    session,
    link,
    say,
    async status(streamId) {
      for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      const frame = link.sent.find(
        ({ msgId, body }) => msgId === FRAME.STATUS && body.readUInt32LE(4) === streamId,
      );
      return frame === undefined ? undefined : readStatus(frame.body, METADATA_BYTES_MAX).error;
    },
  };
}

const call = (streamId: number, method: string, message = Buffer.alloc(0), flags = FLAG_END): WireFrame =>
  wire.request(streamId, `/demo.Echo/${method}`, message, flags);

test('trailers above the limit fail the call of a streaming handler, and nothing else', async (t) => {
  const big = Metadata.from({ 'x-long': 'x'.repeat(9000) });
  const { say, status } = peer(t, {
    async *list(_: unknown, { trailers }: ServerCall) {
      for (const [key, value] of big) trailers.add(key, value);
      yield await Promise.resolve({ text: 'one' });
    },
  });
  say(call(1, 'List'));
  assert.equal((await status(1))?.code, 'RPC_METADATA_TOO_LARGE');
  assert.equal((await status(1))?.executed, 'unknown');
});

test('whatever a handler throws ends its call with a code', async (t) => {
  const warned = deferred<void>();
  process.on('warning', () => warned.resolve());
  for (const thrown of [
    Object.create(null) as unknown,
    undefined,
    null,
    'text',
    Symbol('s'),
    new Error('why'),
  ]) {
    const { say, status } = peer(t, {
      say: () => {
        throw thrown;
      },
      count: () => Promise.reject(thrown),
    });
    say(call(1, 'Say'), call(2, 'Count'));
    assert.equal((await status(1))?.code, 'RPC_UNKNOWN');
    assert.equal((await status(2))?.code, 'RPC_UNKNOWN');
  }
  await warned.promise;
});

test('a handler that asks for a request and does not look at it loses its call, not the process', async (t) => {
  const strays: unknown[] = [];
  const onStray = (error: unknown): void => void strays.push(error);
  process.on('unhandledRejection', onStray);
  t.after(() => process.off('unhandledRejection', onStray));
  const { say, status } = peer(t, {
    upload: (requests: AsyncIterable<SayRequest>) => {
      void requests[Symbol.asyncIterator]().next();
      return new Promise(() => {});
    },
  });
  say(wire.request(1, '/demo.Echo/Upload', null, 0), wire.cancel(1, 1, ''));
  assert.equal(await status(1), undefined);
  assert.deepEqual(strays, []);
});

test('a thenable that settles twice answers once', async (t) => {
  const { say, status, link } = peer(t, {
    say: () => ({
      // oxlint-disable-next-line unicorn/no-thenable -- that is the point
      then(resolve: (answer: unknown) => void, reject: (error: unknown) => void) {
        resolve({ text: 'once' });
        resolve({ text: 'twice' });
        reject(new Error('thrice'));
      },
    }),
  });
  say(call(1, 'Say'));
  assert.equal(await status(1), null);
  assert.equal(link.sent.length, 1);
});

test('an answer that is no message is the fault of the server, and the call was perhaps executed', async (t) => {
  const { say, status } = peer(t, { say: () => ({ text: 7 }) });
  say(call(1, 'Say'));
  const error = await status(1);
  assert.equal(error?.code, 'RPC_INTERNAL');
  assert.equal(error?.executed, 'unknown');
});

test('an answer above the limit of the client was executed all the same', async (t) => {
  const server = peer(t, { say: () => ({ payload: new Uint8Array(200_000) }) });
  const other = server.server.connect();
  for (const frame of [wire.hello({ messageBytesMax: 1000 }), call(1, 'Say')])
    other.session.receive(frame.msgId, frame.body);
  await server.status(1);
  const status = other.link.sent.find(({ msgId }) => msgId === FRAME.STATUS)!;
  const { error } = readStatus(status.body, METADATA_BYTES_MAX);
  assert.equal(error?.code, 'RPC_MESSAGE_TOO_LARGE');
  assert.equal(error?.executed, 'unknown');
});

test('details that are none do not keep the error from arriving', async (t) => {
  const { say, status } = peer(t, {
    say: () => {
      throw new RpcError('RPC_NOT_FOUND', 'gone', { details: [{ typeUrl: 'x' }] as never });
    },
  });
  say(call(1, 'Say'));
  assert.equal((await status(1))?.code, 'RPC_INTERNAL');
});

test('an inline message is judged by the limit of the server', async (t) => {
  const { say, status } = peer(t, {}, { messageBytesMax: 100 });
  say(call(1, 'Say', Buffer.concat([Buffer.from([0x1a, 0x80, 1]), Buffer.alloc(128)])));
  const error = await status(1);
  assert.equal(error?.code, 'RPC_MESSAGE_TOO_LARGE');
  assert.match(error?.message ?? '', /131 bytes.*server.*100/);
});

test('compressed messages wait compressed', async (t) => {
  const got = deferred<AsyncIterable<SayRequest>>();
  const end = deferred<void>();
  const { say, status } = peer(t, {
    upload: async (requests: AsyncIterable<SayRequest>) => {
      got.resolve(requests);
      await end.promise;
      let count = 0n;
      for await (const { payload } of requests) {
        assert.equal(payload?.length, 4_000_000);
        count += 1n;
      }
      return { count };
    },
  });
  const raw = Buffer.concat([Buffer.from([0x1a, 0x80, 0x92, 0xf4, 1]), Buffer.alloc(4_000_000)]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(raw.length);
  const packed = Buffer.concat([size, gzipSync(raw)]);
  const before = process.memoryUsage().arrayBuffers;
  say(wire.request(1, '/demo.Echo/Upload', null, 0));
  for (let index = 0; index < 40; index += 1) say(wire.data(1, packed, FLAG_COMPRESSED));
  await got.promise;
  assert(process.memoryUsage().arrayBuffers - before < 10 * MIB, 'forty messages of 4 MB wait in less');
  say(wire.end(1));
  end.resolve();
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await status(1), null);
});

test('a compressed message that cannot be undone fails its call when it is read', async (t) => {
  const end = deferred<void>();
  const { say, status } = peer(t, {
    upload: async (requests: AsyncIterable<SayRequest>) => {
      await end.promise;
      for await (const _ of requests);
      return { count: 0n };
    },
  });
  say(wire.request(1, '/demo.Echo/Upload', null, 0));
  say(wire.data(1, Buffer.from([9, 0, 0, 0, 1, 2, 3]), FLAG_COMPRESSED));
  assert.equal(await status(1), undefined);
  end.resolve();
  assert.equal((await status(1))?.code, 'RPC_MESSAGE_INVALID');
});

test('a message in parts of a byte takes no more memory than twice its length', () => {
  const assembly = new MessageAssembly(4 * MIB, 'server');
  const length = Buffer.alloc(5);
  length.writeUInt32LE(MIB);
  const before = process.memoryUsage();
  assembly.add(FLAG_MORE, length);
  const part = Buffer.from([1]);
  for (let index = 0; index < MIB - 2; index += 1) assembly.add(FLAG_MORE, part);
  const after = process.memoryUsage();
  assert(after.arrayBuffers - before.arrayBuffers < 6 * MIB); // with what was outgrown and not collected yet
  assert(after.heapUsed - before.heapUsed < 20 * MIB, 'no object a byte');
  assert.equal(assembly.add(0, part)?.length, MIB);
});

test('above the budget one unfinished message goes on, and when it is whole the next', () => {
  const budget = new GatherBudget(100);
  const wentOn: string[] = [];
  const gatherer = (name: string): Gatherer => ({ goOnGathering: () => wentOn.push(name) });
  const [first, second, third] = [gatherer('first'), gatherer('second'), gatherer('third')];
  assert.equal(budget.gathered(first, 60), true);
  assert.equal(budget.gathered(second, 60), true, 'somebody has to be able to finish');
  assert.equal(budget.gathered(first, 10), false);
  assert.equal(budget.gathered(third, 10), false);
  assert.equal(budget.gathered(second, 500), true);
  budget.finished(second, 560);
  assert.deepEqual(wentOn, ['first', 'third'], 'within the budget everybody goes on');
  assert.equal(budget.bytes, 80);
  budget.finished(first, 70);
  budget.finished(third, 10);
  assert.equal(budget.bytes, 0);
});

test('a hundred long messages at once come whole although they are above the budget together', async (t) => {
  const server = new MemoryServer([echoService()], {
    connectionWindowBytes: 140_000,
    streamWindowBytes: 140_000,
  });
  t.after(() => server.close());
  const client = memoryClient(server.memory);
  const ready = client.session.greet();
  const connected = server.connect();
  await carry(client, connected);
  await ready;
  let ended = 0;
  const payload = new Uint8Array(300_000);
  for (let index = 0; index < 100; index += 1) {
    const listener = {
      hasUnread: false,
      headersReceived: () => {},
      messageReceived: (_: unknown, cost: number) => calls[index]!.messageTaken(cost),
      callEnded: (error: RpcError | null) => {
        assert.equal(error, null);
        ended += 1;
      },
    };
    const head = { path: ECHO.say.path, timeoutMs: 0, previousAttempts: 0, callFlags: 0, metadata: null };
    calls.push(client.session.open(ECHO.say, head, { payload }, listener));
  }
  await carry(client, connected);
  assert.equal(ended, 100);
  assert.equal(connected.session.gathering.bytes, 0);
  assert.equal(client.session.gathering.bytes, 0);
});
const calls: { messageTaken(cost: number): void }[] = [];

test('opening and cancelling calls does not start handlers without end', async (t) => {
  let started = 0;
  const { say, status } = peer(
    t,
    {
      count: () => {
        started += 1;
        return new Promise(() => {}); // heeds no signal
      },
    },
    { streamsMax: 10 },
  );
  for (let id = 1; id <= 50; id += 1) say(call(id, 'Count'), wire.cancel(id, 1, ''));
  assert.equal(started, 10);
  const error = await status(50);
  assert.equal(error?.code, 'RPC_TOO_MANY_STREAMS');
  assert.equal(error?.executed, 'no');
});

test('handlers that end with their calls do not count against the next ones', async (t) => {
  const { say, status } = peer(
    t,
    {
      count: (_: SayRequest, { signal }: ServerCall) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    },
    { streamsMax: 3 },
  );
  for (let id = 1; id <= 30; id += 1) {
    say(call(id, 'Count'), wire.cancel(id, 1, ''));
    assert.equal(await status(id), undefined);
  }
});

test('a window in which no frame fits is refused in HELLO', (t) => {
  const server = new MemoryServer();
  t.after(() => server.close());
  for (const bytes of [0, 131_087, 2 ** 30 + 1, 0xffff_ffff]) {
    const { link, session } = server.connect();
    const { msgId, body } = wire.hello({ streamWindowBytes: bytes });
    session.receive(msgId, body);
    assert.equal(link.sent.at(-1)?.msgId, FRAME.GOAWAY);
    assert.match(readGoaway(link.sent.at(-1)!.body).text, /streamWindowBytes of HELLO is \d+/);
    assert.equal(link.closedBy, 'end');
  }
});

test('a flag that means nothing on its frame ends the connection', (t) => {
  for (const [frame, flag] of [
    [call(1, 'Say'), FLAG_MORE],
    [call(1, 'Say'), FLAG_COMPRESSED],
    [call(1, 'Say'), 32],
    [wire.data(1, Buffer.alloc(1)), 8],
  ] as const) {
    const { say, link } = peer(t);
    frame.body[0]! |= flag;
    say(frame);
    assert.equal(link.take().at(-1)?.msgId, FRAME.GOAWAY);
    assert.equal(link.closedBy, 'end');
  }
});

test('an unknown frame is passed over if it says so, and ends the connection if not', (t) => {
  const unknown = (flags: number): WireFrame => ({
    msgId: 0x52ff,
    body: Buffer.from([flags, 0, 0, 0, 0, 0, 0, 0, 9]),
  });
  const { say, link } = peer(t);
  say(unknown(1));
  assert.equal(link.sent.length, 0);
  say(unknown(0));
  assert.equal(link.sent.at(-1)?.msgId, FRAME.GOAWAY);
});

test('after a GOAWAY of any reason the calls above its last one were surely not executed', async (t) => {
  const server = new MemoryServer();
  t.after(() => server.close());
  for (const reason of [0, 1, 4, 99]) {
    const client = memoryClient(server.memory);
    const ready = client.session.greet();
    await carry(client, server.connect());
    await ready;
    const executed: (string | undefined)[] = [];
    for (let index = 0; index < 3; index += 1) {
      const head = { path: ECHO.say.path, timeoutMs: 0, previousAttempts: 0, callFlags: 0, metadata: null };
      client.session.open(
        ECHO.say,
        head,
        {},
        {
          hasUnread: false,
          headersReceived: () => {},
          messageReceived: () => {},
          callEnded: (error) => {
            executed[index] = error?.executed;
          },
        },
      );
    }
    const { msgId, body } = wire.goaway({ lastStreamId: 1, reason, text: '', drainMs: 0 });
    client.session.receive(msgId, body);
    client.session.lost(new RpcError('RPC_CONNECTION_LOST', 'gone'));
    assert.deepEqual(executed, ['unknown', 'no', 'no'], `reason ${reason}`);
  }
});

test('a link without memory for a frame ends the connection, not the process', async (t) => {
  const { say, link, session } = peer(t);
  link.send = () => {
    throw new Error('the pool is exhausted');
  };
  say(call(1, 'Say', Buffer.from([0x20, 1])));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(session.state, 'closed');
  assert.equal(link.closedBy, 'destroy');
});
