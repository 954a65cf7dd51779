// Clients and servers that do not keep to the protocol, over real sockets. Each learns it by a code, loses its call or
// its connection, and nobody else notices: after every abuse a well-behaved client is answered.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';

import {
  Metadata,
  type RpcClient,
  RpcError,
  type RpcServer,
  type RpcServerOptions,
} from '../../rpc/index.js';
import { GOAWAY_REASON } from '../../rpc/wire/control-frames.js';
import { FLAG_COMPRESSED, FLAG_END, FLAG_MORE, FRAME } from '../../rpc/wire/frame-types.js';
import { TRANSPORTS } from '../support/transports.js';
import { deferred } from './support/deferred.js';
import { ECHO, echoService, type SayRequest } from './support/echo.js';
import { memoryBytes, RawRpc } from './support/raw-rpc.js';
import { startClient, startPair } from './support/rpc-pair.js';
import * as wire from './support/wire-frames.js';

const MIB = 1024 * 1024;

interface Abused {
  readonly server: RpcServer;
  readonly target: string;
  readonly client: RpcClient;
}

/** A server and a client that behaves: its calls are answered before and after the abuse. */
async function abused(t: TestContext, options: Partial<RpcServerOptions> = {}): Promise<Abused> {
  const pair = await startPair(
    t,
    options,
    options.transport === undefined ? {} : { transport: options.transport },
  );
  await isServing(pair);
  return pair;
}

async function isServing({ client }: Abused): Promise<void> {
  assert.equal((await client.unary(ECHO.say, { text: 'still there' })).text, 'still there');
}

const say = (streamId: number, message = Buffer.alloc(0)): wire.WireFrame =>
  wire.request(streamId, '/demo.Echo/Say', message, FLAG_END);
/** A number, and as many bytes behind it as told. */
const u32 = (value: number, more: number = 0): Buffer => {
  const bytes = Buffer.alloc(4 + more);
  bytes.writeUInt32LE(value);
  return bytes;
};

for (const transport of TRANSPORTS) {
  test(`who does not speak the protocol is sent away (${transport})`, async (t) => {
    const target = await abused(t, { transport });
    const magic = await RawRpc.connect(t, target.target, false);
    const { msgId, body } = wire.hello();
    body.write('HTTP', 8);
    magic.say({ msgId, body });
    assert.deepEqual((({ reason, text }) => ({ reason, text }))(await magic.goaway()), {
      reason: GOAWAY_REASON.protocol,
      text: 'HELLO does not begin with RNRP',
    });

    const browser = await RawRpc.connect(t, target.target, false);
    browser.raw.write('GET / HTTP/1.1\r\nhost: example.org\r\n\r\n');
    await browser.raw.closed();

    const eager = await RawRpc.connect(t, target.target, false);
    eager.say(say(1));
    assert.match((await eager.goaway()).text, /came before HELLO/);

    const twice = await RawRpc.connect(t, target.target);
    twice.say(wire.hello());
    assert.match((await twice.goaway()).text, /second HELLO/);
    await isServing(target);
  });

  test(`a client of other versions only is told so (${transport})`, async (t) => {
    const target = await abused(t, { transport });
    for (const [version, versionMin] of [
      [9, 2],
      [0, 0],
    ] as const) {
      const peer = await RawRpc.connect(t, target.target, false);
      peer.say(wire.hello({ version, versionMin }));
      assert.equal((await peer.goaway()).reason, GOAWAY_REASON.version);
    }
    await isServing(target);
  });

  test(`a message that is too long ends its call, a frame that is too long its connection (${transport})`, async (t) => {
    const target = await abused(t, { transport, messageBytesMax: 100_000 });
    const peer = await RawRpc.connect(t, target.target);
    peer.say(
      wire.request(1, '/demo.Echo/Say', null, 0),
      wire.data(1, Buffer.concat([u32(0xffff_ffff), u32(0)]), FLAG_MORE),
    );
    const error = await peer.status(1);
    assert.equal(error?.code, 'RPC_MESSAGE_TOO_LARGE');
    assert.match(error?.message ?? '', /4294967295 bytes.*server.*100000/);
    peer.say(say(2));
    assert.equal(await peer.status(2), null, 'the connection goes on');
    peer.raw.write(Buffer.concat([u32(FRAME.DATA), u32(65_545), Buffer.alloc(1000)]));
    await peer.raw.closed();
    await isServing(target);
  });

  test(`metadata in any amount ends its call (${transport})`, async (t) => {
    const target = await abused(t, { transport });
    const peer = await RawRpc.connect(t, target.target);
    const bomb = (streamId: number, block: Buffer): wire.WireFrame => {
      const { msgId, body } = wire.request(streamId, '/demo.Echo/Say', null, FLAG_END);
      body.writeUInt32LE(block.length, 16);
      return { msgId, body: Buffer.concat([body, block]) };
    };
    const entries = (count: number, key: string, value: string): Buffer =>
      Buffer.concat([
        Buffer.from([count & 255, count >> 8]),
        ...Array.from({ length: count }, () =>
          Buffer.concat([
            Buffer.from([key.length, value.length & 255, value.length >> 8]),
            Buffer.from(key + value),
          ]),
        ),
      ]);
    peer.say(
      bomb(1, entries(1, 'k', 'v'.repeat(9000))),
      bomb(2, entries(300, 'k', '')),
      bomb(3, entries(1, 'K y', '')),
    );
    assert.equal((await peer.status(1))?.code, 'RPC_METADATA_TOO_LARGE');
    assert.equal((await peer.status(2))?.code, 'RPC_METADATA_TOO_LARGE');
    assert.equal((await peer.status(3))?.code, 'RPC_INVALID_ARGUMENT');
    peer.say(bomb(4, Buffer.from([255, 0, 200, 255, 255, 1])));
    assert.equal((await peer.goaway()).reason, GOAWAY_REASON.protocol);
    await isServing(target);
  });

  test(`calls that never end are not more than streamsMax (${transport})`, async (t) => {
    const target = await abused(t, { transport, streamsMax: 5 });
    const peer = await RawRpc.connect(t, target.target);
    for (let id = 1; id <= 8; id += 1) peer.say(wire.request(id, '/demo.Echo/Chat', null, 0));
    for (const id of [6, 7, 8]) {
      const error = await peer.status(id);
      assert.equal(error?.code, 'RPC_TOO_MANY_STREAMS');
      assert.equal(error?.executed, 'no');
    }
    peer.say(wire.cancel(1, 1, ''), say(9));
    assert.equal(await peer.status(9), null, 'one that ended makes room');
    await isServing(target);
  });

  test(`a client that sends without credit loses its connection (${transport})`, async (t) => {
    const stuck = echoService({ upload: () => new Promise(() => {}) });
    const target = await abused(t, { transport, services: [stuck] });
    const peer = await RawRpc.connect(t, target.target);
    peer.say(wire.request(1, '/demo.Echo/Upload', null, 0));
    for (let frame = 0; frame < 5; frame += 1)
      peer.say(wire.data(1, Buffer.concat([Buffer.from([0x1a, 0xdc, 0xd8, 3]), Buffer.alloc(60_508)])));
    assert.match((await peer.goaway()).text, /more than its window/);
    await isServing(target);
  });

  test(`a client that does not read is given up at the cap of its output (${transport})`, async (t) => {
    const target = await abused(t, { transport });
    const socket = net.connect({ port: Number(target.target.split(':')[1]), host: '127.0.0.1' });
    t.after(() => socket.destroy());
    socket.on('error', () => {}); // ECONNRESET is what is waited for
    await once(socket, 'connect');
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    const text = Buffer.concat([Buffer.from([0x0a, 0x80, 0x7d]), Buffer.alloc(16_000, 97)]);
    socket.write(wire.tlv(wire.hello()));
    const before = memoryBytes();
    for (let id = 1; id < 20_000 && !socket.destroyed; id += 1) {
      if (!socket.write(wire.tlv(say(id, text))))
        await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
    }
    assert(socket.destroyed, 'the server closed it');
    assert(memoryBytes() - before < 150 * MIB);
    await isServing(target);
  });

  test(`who says too little is not waited for (${transport})`, async (t) => {
    const target = await abused(t, {
      transport,
      helloTimeoutMs: 300,
      keepaliveIntervalMs: 100,
      keepaliveTimeoutMs: 100,
    });
    const started = performance.now();
    const silent = await RawRpc.connect(t, target.target, false);
    const half = await RawRpc.connect(t, target.target, false);
    half.raw.write(wire.tlv(wire.hello()).subarray(0, 20));
    await silent.raw.closed();
    await half.raw.closed();

    const dribbling = await RawRpc.connect(t, target.target);
    const frame = wire.tlv(say(1, Buffer.alloc(200)));
    let at = 0;
    const drip = setInterval(() => dribbling.raw.write(frame.subarray(at, (at += 1))), 20);
    t.after(() => clearInterval(drip));
    await dribbling.raw.closed();
    assert(performance.now() - started < 5000);
    await isServing(target);
  });

  test(`small gzip that stands for much is undone no further than it says (${transport})`, async (t) => {
    const target = await abused(t, { transport });
    const peer = await RawRpc.connect(t, target.target);
    const bomb = gzipSync(Buffer.alloc(200 * MIB), { level: 9 });
    const before = memoryBytes();
    const parts = (streamId: number, size: number): wire.WireFrame[] => {
      const whole = Buffer.concat([u32(size), bomb]);
      const frames: wire.WireFrame[] = [wire.request(streamId, '/demo.Echo/Say', null, 0)];
      const first = whole.subarray(0, 50_000);
      frames.push(
        wire.data(streamId, Buffer.concat([u32(whole.length), first]), FLAG_MORE | FLAG_COMPRESSED),
      );
      for (let at = 50_000; at < whole.length; at += 50_000) {
        const isLast = at + 50_000 >= whole.length;
        const flags = FLAG_COMPRESSED | (isLast ? FLAG_END : FLAG_MORE);
        frames.push(wire.data(streamId, whole.subarray(at, at + 50_000), flags));
      }
      return frames;
    };
    peer.say(...parts(1, 4 * MIB));
    assert.equal((await peer.status(1))?.code, 'RPC_MESSAGE_INVALID');
    peer.say(...parts(2, 200 * MIB));
    assert.equal((await peer.status(2))?.code, 'RPC_MESSAGE_TOO_LARGE');
    assert(memoryBytes() - before < 60 * MIB);
    await isServing(target);
  });

  test(`a flood of pings ends with its reason (${transport})`, async (t) => {
    const target = await abused(t, { transport });
    const peer = await RawRpc.connect(t, target.target);
    for (let ping = 0; ping < 1000; ping += 1) peer.say(wire.ping('flood'));
    assert.equal((await peer.goaway()).reason, GOAWAY_REASON.tooManyPings);
    await isServing(target);
  });

  test(`a stream writer a thousand times faster than its reader is held back, both ways (${transport})`, async (t) => {
    const reading = deferred<void>();
    let produced = 0;
    const service = echoService({
      async *list() {
        for (; produced < 100_000; produced += 1)
          yield await Promise.resolve({ payload: new Uint8Array(1000) });
      },
      upload: async (requests: AsyncIterable<SayRequest>) => {
        await reading.promise;
        let count = 0n;
        for await (const _ of requests) count += 1n;
        return { count };
      },
    });
    const target = await abused(t, { transport, services: [service] });
    const before = memoryBytes();
    // 256 KiB of credit are some 260 messages of 1 KB.
    const stream = target.client.serverStream(ECHO.list, {}, { timeoutMs: Infinity });
    const reader = stream[Symbol.asyncIterator]();
    await reader.next();
    await settled(() => produced);
    assert(produced > 200 && produced < 300, `${produced} messages were made for a reader that took one`);
    for (let index = 0; index < 1000; index += 1) await reader.next();
    await settled(() => produced);
    assert(produced > 1001 && produced < 1300, `${produced} messages were made for a reader that took 1001`);
    await reader.return?.();

    let given = 0;
    async function* requests(): AsyncIterable<SayRequest> {
      for (; given < 3000; given += 1) yield await Promise.resolve({ payload: new Uint8Array(1000) });
    }
    const uploaded = target.client.clientStream(ECHO.upload, requests(), { timeoutMs: Infinity });
    await settled(() => given);
    assert(given > 200 && given < 300, `${given} messages were taken for a reader that took none`);
    assert(memoryBytes() - before < 20 * MIB);
    reading.resolve();
    assert.equal((await uploaded).count, 3000n);
    await isServing(target);
  });

  test(`stalled streams that hold a connection's credit let short calls by, and give it back when they end (${transport})`, async (t) => {
    const service = echoService({
      upload: async (requests: AsyncIterable<SayRequest>, { signal }) => {
        let count = 0n;
        for await (const { text } of requests) {
          count += 1n;
          if (text === 'stall') await new Promise((resolve) => signal.addEventListener('abort', resolve));
        }
        return { count };
      },
    });
    const windows = { streamWindowBytes: 140_000, connectionWindowBytes: 280_000 };
    const { client } = await startPair(
      t,
      { transport, services: [service], ...windows },
      { transport, pool: { connectionsMin: 1, connectionsMax: 1 } },
    );
    const enough = new AbortController();
    const stalling = Array.from({ length: 2 }, () => {
      const requests = [
        { text: 'stall' },
        ...Array.from({ length: 10 }, () => ({ payload: new Uint8Array(60_000) })),
      ];
      return client.clientStream(ECHO.upload, requests, { signal: enough.signal, timeoutMs: Infinity });
    });
    const long = client.clientStream(
      ECHO.upload,
      Array.from({ length: 20 }, () => ({ payload: new Uint8Array(60_000) })),
      {
        timeoutMs: Infinity,
      },
    );
    let isDone = false;
    void long.then(() => (isDone = true));
    for (let call = 0; call < 20; call += 1) await client.unary(ECHO.say, { text: 'short' });
    assert.equal(isDone, false, 'the connection has no credit left');
    enough.abort();
    for (const call of stalling) await assert.rejects(call, { code: 'RPC_CANCELLED' });
    assert.equal((await long).count, 20n);
  });
}

/** Resolves when a number has not changed for a hundred turns of the loop and some time. */
async function settled(value: () => number): Promise<void> {
  for (let last = -1; last !== value(); ) {
    last = value();
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 50)); // sockets of this process have their time
  }
}

/** A server that is not ours: `answer` gets each connection. */
async function strangeServer(t: TestContext, answer: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // the client leaves as it likes
    answer(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

test('a server of other versions only fails the call with a code', async (t) => {
  const target = await strangeServer(t, (socket) =>
    socket.write(wire.tlv(wire.hello({ version: 9, versionMin: 9 }))),
  );
  const client = startClient(t, { target });
  await assert.rejects(client.unary(ECHO.say, {}), (error: RpcError) => {
    assert.equal(error.code, 'RPC_VERSION_MISMATCH');
    assert.equal(error.executed, 'no');
    return true;
  });
});

test('a server that accepts and never says HELLO fails the call within the timeout, and others are used', async (t) => {
  const silent = await strangeServer(t, () => {});
  const alone = startClient(t, { target: silent, helloTimeoutMs: 300, retry: { attemptsMax: 1 } });
  const started = performance.now();
  await assert.rejects(alone.unary(ECHO.say, {}), { code: 'RPC_HELLO_TIMEOUT', executed: 'no' });
  assert(performance.now() - started < 2000);

  const { target } = await startPair(t);
  const both = startClient(t, {
    target: `${silent},${target}`,
    balancer: 'round-robin',
    helloTimeoutMs: 300,
  });
  for (let call = 0; call < 6; call += 1) {
    assert.equal((await both.unary(ECHO.say, { text: 'hi' })).text, 'hi');
  }
});

test('a connection that swallows everything ends a call within interval and timeout of the keepalive', async (t) => {
  const started = deferred<void>();
  const service = echoService({
    count: () => {
      started.resolve();
      return new Promise(() => {});
    },
  });
  const { target } = await startPair(t, { services: [service], pingIntervalMsMin: 0 });
  let isSwallowing = false;
  const proxy = await strangeServer(t, (socket) => {
    const upstream = net.connect({ port: Number(target.split(':')[1]), host: '127.0.0.1' });
    upstream.on('error', () => {});
    socket.on('data', (chunk: Buffer) => isSwallowing || upstream.write(chunk));
    upstream.on('data', (chunk: Buffer) => isSwallowing || socket.write(chunk));
    socket.on('close', () => upstream.destroy());
  });
  const client = startClient(t, {
    target: proxy,
    keepaliveIntervalMs: 400,
    keepaliveTimeoutMs: 300,
    retry: { attemptsMax: 1 },
  });
  const answer = client.unary(ECHO.count, {}, { timeoutMs: Infinity });
  await started.promise;
  isSwallowing = true;
  const swallowedMs = performance.now();
  await assert.rejects(answer, { code: 'RPC_KEEPALIVE_TIMEOUT', executed: 'unknown' });
  const tookMs = performance.now() - swallowedMs;
  assert(tookMs >= 250 && tookMs < 400 + 300 + 500, `it took ${tookMs} ms`);
});

test('what a callback of the caller throws ends its own call only', async (t) => {
  const { client } = await startPair(t, {
    services: [
      echoService({
        say: (_: SayRequest, call) => {
          call.trailers.add('x-last', 'yes');
          return { text: 'fine' };
        },
      }),
    ],
  });
  const other = client.unary(ECHO.count, {});
  const onTrailers = (): never => {
    throw new Error('a defect of the caller');
  };
  await assert.rejects(client.unary(ECHO.say, {}, { onTrailers }), {
    code: 'RPC_CANCELLED',
    message: /a defect of the caller/,
  });
  await other;
  assert.equal((await client.unary(ECHO.say, {})).text, 'fine');
});

test('the error of a call made by a handler does not say that the handler did not run', async (t) => {
  const nobody = startClient(t, { target: '127.0.0.1:1', retry: { attemptsMax: 1 } });
  let calls = 0;
  const service = echoService({
    count: async () => {
      calls += 1;
      return await nobody.unary(ECHO.say, {});
    },
  });
  const { client } = await startPair(t, { services: [service] });
  await assert.rejects(client.unary(ECHO.count, {}), (error: RpcError) => {
    assert.equal(error.status, 'UNAVAILABLE');
    assert.equal(error.executed, 'unknown');
    return true;
  });
  assert.equal(calls, 1, 'and it was not tried again');
});

test('a client that cannot be identified because of a defect is not let in', async (t) => {
  for (const authenticate of [
    () => {
      throw new TypeError('a defect');
    },
    () => Promise.resolve('ada') as never,
  ]) {
    const { client } = await startPair(
      t,
      { services: { services: [echoService()], authenticate } },
      { retry: { attemptsMax: 1 } },
    );
    await assert.rejects(client.unary(ECHO.say, {}), { code: 'RPC_UNAUTHENTICATED' });
  }
});

const said = Buffer.from([0x0a, 2, 0x68, 0x69]);
const longBlock = ((): wire.WireFrame => {
  const { msgId, body } = wire.responseHeaders(1, new Metadata());
  body.writeUInt32LE(9000, 8);
  return { msgId, body: Buffer.concat([body, Buffer.alloc(9000)]) };
})();
const truncated = { msgId: FRAME.STATUS, body: wire.ok(1, null).body.subarray(0, 20) };
const strangeStatus = ((): wire.WireFrame => {
  const frame = wire.failed(1, new RpcError('RPC_NOT_FOUND', 'from the future'));
  frame.body[8] = 99;
  frame.body.writeUInt16LE(999, 10);
  return frame;
})();

for (const [what, code, frames] of [
  ['two answers to one request', 'RPC_INTERNAL', [wire.data(1, said), wire.data(1, said)]],
  ['a good end without an answer', 'RPC_INTERNAL', [wire.ok(1, null)]],
  ['an answer that is no message', 'RPC_INTERNAL', [wire.ok(1, Buffer.from([0x0a, 200]))]],
  ['an answer above the limit, inline', 'RPC_MESSAGE_TOO_LARGE', [wire.ok(1, Buffer.alloc(2000))]],
  ['an answer above the limit, announced', 'RPC_MESSAGE_TOO_LARGE', [wire.data(1, u32(2000, 9), FLAG_MORE)]],
  ['an end inside of a message', 'RPC_INTERNAL', [wire.data(1, u32(900, 9), FLAG_MORE), wire.ok(1, null)]],
  ['headers above the limit', 'RPC_METADATA_TOO_LARGE', [longBlock]],
  ['headers twice', 'RPC_PROTOCOL', [1, 2].map(() => wire.responseHeaders(1, new Metadata()))],
  ['a status that is cut off', 'RPC_PROTOCOL', [truncated]],
  ['END, which is for clients', 'RPC_PROTOCOL', [wire.end(1)]],
  ['CANCEL, which is for clients', 'RPC_PROTOCOL', [wire.cancel(1, 1, '')]],
  ['DATA for a call that is not', 'RPC_PROTOCOL', [wire.data(7, said)]],
  ['too much credit', 'RPC_PROTOCOL', [wire.windowOf(0, 2 ** 31)]],
  ['a frame above the limit', 'RPC_CONNECTION_LOST', [tooLong()]],
  ['a status nobody knows', 'RPC_UNKNOWN', [strangeStatus]],
] as const) {
  test(`a server that sends ${what} fails the call with ${code}`, async (t) => {
    const target = await strangeServer(t, (socket) => {
      socket.write(wire.tlv(wire.hello({ streamsMax: 10 })));
      socket.once('data', () => {
        socket.once('data', () => socket.write(Buffer.concat(frames.map(wire.tlv)))); // HELLO, then HEADERS
      });
    });
    const client = startClient(t, {
      target,
      messageBytesMax: code === 'RPC_CONNECTION_LOST' ? 100_000 : 1000,
      retry: { attemptsMax: 1 },
    });
    await assert.rejects(client.unary(ECHO.count, {}, { timeoutMs: 5000 }), (error: RpcError) => {
      assert.equal(error.code, code, error.message);
      assert.equal(error.executed, 'unknown');
      return true;
    });
  });
}

function tooLong(): wire.WireFrame {
  return { msgId: FRAME.DATA, body: Buffer.alloc(65_545) };
}
