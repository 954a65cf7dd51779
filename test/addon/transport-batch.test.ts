// What a Node user expects of code that runs inside a batch: promises, AsyncLocalStorage, exceptions, closing.
import assert from 'node:assert/strict';
import { AsyncLocalStorage, executionAsyncResource } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  CONTROL_FLUSH_FIRST,
  EVENT_ACCEPTED,
  EVENT_CLOSED,
  EVENT_CONNECTED,
  EVENT_DATA,
  EVENT_END,
  EVENT_LARGE_BEGIN,
  EVENT_LARGE_DATA,
  RECEIVE_SLAB_BYTES_MIN,
  requireAddon,
} from '../../addon/index.js';
import { invalidArgument, openDescriptorCount, systemCallFailed } from './support/loopback.js';
import { deferred, type TinyOptions, TinyTransport, type TransportEvent } from './support/tiny-transport.js';

const addon = requireAddon();

interface Served {
  readonly tiny: TinyTransport;
  readonly client: net.Socket;
  readonly slot: number;
}

/** A transport with one accepted connection of raw bytes, reading. Further events go to `onEvent`. */
async function serveOne(
  onEvent: (served: Served, event: TransportEvent) => void,
  options: TinyOptions = {},
): Promise<Served> {
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 16 });
  const accepted = deferred<number>();
  const tiny = new TinyTransport(options, (event) => {
    if (event.type === EVENT_ACCEPTED) accepted.resolve(event.a);
  });
  tiny.transport.listen(fd, 0, 0);
  const client = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  client.on('error', () => {}); // resets are part of some tests
  const served = { tiny, client, slot: await accepted.promise };
  tiny.onEvent = (event) => onEvent(served, event);
  tiny.transport.resume(served.slot);
  return served;
}

async function stop({ tiny, client }: Served): Promise<void> {
  tiny.transport.close();
  if (!client.closed) {
    const closed = once(client, 'close');
    client.destroy();
    await closed;
  }
}

test('output of promises and ticks that a batch leaves behind goes out with the batch', async () => {
  let sendsBefore = 0;
  const served = await serveOne(({ tiny, slot }, event) => {
    assert.equal(event.type, EVENT_DATA);
    sendsBefore = tiny.transport.stats().sends;
    tiny.send(slot, Buffer.from('handler '));
    void Promise.resolve()
      .then(() => tiny.send(slot, Buffer.from('promise ')))
      .then(() => tiny.send(slot, Buffer.from('end')));
    process.nextTick(() => tiny.send(slot, Buffer.from('tick ')));
  });
  served.client.write('x');
  const [chunk] = (await once(served.client, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'handler tick promise end');
  assert.equal(served.tiny.transport.stats().sends - sendsBefore, 1);
  await stop(served);
});

test('a batch may have its output sent ahead of its ticks', async () => {
  const sends: number[] = [];
  const ends: number[] = [];
  const served = await serveOne(({ tiny, slot }) => {
    tiny.send(slot, Buffer.from('handler '));
    sends.push(tiny.transport.stats().sends);
    tiny.memory.control[CONTROL_FLUSH_FIRST] = 1;
    process.nextTick(() => {
      sends.push(tiny.transport.stats().sends);
      tiny.send(slot, Buffer.from('tick'));
    });
  });
  served.tiny.onBatchEnd = (eventCount) => ends.push(eventCount);
  served.client.write('x');
  let received = '';
  while (!received.endsWith('tick')) received += String((await once(served.client, 'data'))[0]);
  assert.equal(received, 'handler tick');
  assert.deepEqual(sends, [0, 1]);
  assert.deepEqual(ends, [1]); // nothing was left to tell
  assert.equal(served.tiny.memory.control[CONTROL_FLUSH_FIRST], 0);
  await stop(served);
});

test('what the kernel leaves of such output is told at once, ahead of the ticks', async () => {
  const seen: string[] = [];
  let written = 0;
  const told = deferred<void>();
  const served = await serveOne(({ tiny, slot }, event) => {
    if (event.type !== EVENT_DATA) return;
    while (tiny.pendingBytes(slot) === 0) {
      tiny.send(slot, Buffer.alloc(500_000)); // the second flushes the first
      tiny.send(slot, Buffer.alloc(500_000));
      written += 1_000_000;
    }
    tiny.memory.control[CONTROL_FLUSH_FIRST] = 1;
    process.nextTick(() => {
      seen.push('tick');
      told.resolve();
    });
  });
  served.tiny.onBatchEnd = (eventCount) => seen.push(`${eventCount} events`);
  served.client.pause().write('x');
  await told.promise;
  assert.deepEqual(seen, ['1 events', '0 events', 'tick']);
  served.tiny.onBatchEnd = () => {};
  served.client.resume();
  for (let bytes = 0; bytes < written; ) bytes += ((await once(served.client, 'data'))[0] as Buffer).length;
  await stop(served);
});

test('output made outside a batch waits for flush', async () => {
  const served = await serveOne(() => {});
  served.tiny.send(served.slot, Buffer.from('later'));
  const { sends } = served.tiny.transport.stats();
  assert.equal(sends, 0);
  served.tiny.transport.flush();
  const [chunk] = (await once(served.client, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'later');
  await stop(served);
});

test('AsyncLocalStorage in a handler does not leak into the next batch', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const afterwards: (string | undefined)[] = [];
  const served = await serveOne(({ tiny, slot }, event) => {
    seen.push(storage.getStore());
    const name = tiny.bytesOf(event).toString();
    storage.run(name, () => {
      void Promise.resolve().then(() => afterwards.push(storage.getStore()));
      tiny.send(slot, Buffer.from(name));
    });
  });
  for (const name of ['a', 'b']) {
    served.client.write(name);
    await once(served.client, 'data');
  }
  assert.deepEqual(seen, [undefined, undefined]);
  assert.deepEqual(afterwards, ['a', 'b']);
  await stop(served);
});

test('a batch has the async resource that was given, or the transport itself', async () => {
  const mine = {};
  for (const asyncResource of [mine, undefined]) {
    const seen: object[] = [];
    const served = await serveOne(
      ({ tiny, slot }) => {
        seen.push(executionAsyncResource());
        tiny.send(slot, Buffer.from('seen'));
      },
      asyncResource === undefined ? {} : { asyncResource },
    );
    served.client.write('look');
    await once(served.client, 'data');
    assert.equal(seen[0], asyncResource ?? served.tiny.transport);
    await stop(served);
  }
});

test('an exception is uncaught once, and the events behind it are still handled', async () => {
  const script = fileURLToPath(new URL('support/throwing-transport.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(output), { handled: 20, uncaught: 10, unhandled: 2 });
});

test('close in the middle of a batch ends it and closes every descriptor', async () => {
  const descriptors = openDescriptorCount();
  let events = 0;
  const served = await serveOne(({ tiny, slot }) => {
    events++;
    tiny.send(slot, Buffer.from('never sent'));
    tiny.transport.close();
  });
  const closed = once(served.client, 'close');
  served.client.resume().once('end', () => served.client.end());
  served.client.write('x');
  await closed;
  assert.equal(events, 1);
  assert.equal(openDescriptorCount(), descriptors);
  served.tiny.transport.close();
  served.tiny.transport.flush();
  served.tiny.transport.pause(served.slot);
  assert.equal(served.tiny.transport.descriptorOf(served.slot), -1);
  assert.throws(() => served.tiny.transport.stats(), { code: 'ADDON_CLOSED' });
});

test('a paused connection delivers nothing until it is resumed', async () => {
  const received: string[] = [];
  let paused = false;
  const served = await serveOne(({ tiny, slot }, event) => {
    assert(!paused, 'an event of a paused connection');
    received.push(tiny.bytesOf(event).toString());
    tiny.send(slot, Buffer.from('.'));
  });
  const { tiny, slot, client } = served;
  client.write('one');
  await once(client, 'data');
  tiny.transport.pause(slot);
  paused = true;
  client.write('two');
  const before = tiny.transport.stats().wakeups;
  while (tiny.transport.stats().wakeups === before) await new Promise(setImmediate);
  paused = false;
  tiny.transport.resume(slot);
  await once(client, 'data');
  assert.deepEqual(received, ['one', 'two']);
  await stop(served);
});

test('a connection whose peer ended still answers, and shutdown ends it', async () => {
  const kinds: number[] = [];
  const served = await serveOne(({ tiny, slot }, event) => {
    kinds.push(event.type);
    if (event.type !== EVENT_END) return;
    tiny.transport.send(slot, Buffer.alloc(5_000_000, 'x')); // more than the kernel takes: the FIN has to wait
    tiny.transport.shutdown(slot);
  });
  served.client.end('request');
  assert.equal((await text(served.client)).length, 5_000_000);
  assert.deepEqual(kinds.slice(0, 2), [EVENT_DATA, EVENT_END]);
  await stop(served);
});

test('a reset is told with its errno, and the slot is gone', async () => {
  const broken = deferred<TransportEvent>();
  const served = await serveOne((_, event) => broken.resolve(event));
  served.client.resetAndDestroy();
  const event = await broken.promise;
  assert.deepEqual([event.type, event.a], [EVENT_CLOSED, 104]);
  assert.equal(served.tiny.transport.descriptorOf(served.slot), -1);
  await stop(served);
});

test('a frame larger than the receive slab arrives in pieces', async () => {
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 16 });
  const body = Buffer.alloc(3 * RECEIVE_SLAB_BYTES_MIN + 5, 'abc');
  const pieces: Buffer[] = [];
  const whole = deferred<void>();
  let announced = 0;
  const tiny = new TinyTransport({ receiveSlabBytes: RECEIVE_SLAB_BYTES_MIN }, (event) => {
    if (event.type === EVENT_ACCEPTED) tiny.transport.resume(event.a);
    else if (event.type === EVENT_LARGE_BEGIN) announced = event.c;
    else if (event.type === EVENT_LARGE_DATA) pieces.push(tiny.bytesOf(event));
    else if (event.type === EVENT_END) whole.resolve();
  });
  const framing = { frameBytesMax: body.length, lengthBytes: 4, bigEndian: true, stripBytes: 4 };
  tiny.transport.listen(fd, 0, tiny.transport.defineFraming(framing));
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  const client = net.connect(port, '127.0.0.1').on('error', () => {});
  client.write(header);
  client.end(body);
  await whole.promise;
  assert.equal(announced, body.length);
  assert(Buffer.concat(pieces).equals(body));
  tiny.transport.close();
  client.destroy();
  await once(client, 'close');
});

test('a transport connects, and a refused connection is told', async () => {
  const listener = net.createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as net.AddressInfo;
  const kinds: number[] = [];
  const closed = deferred<number>();
  const tiny = new TinyTransport({}, (event) => {
    kinds.push(event.type);
    if (event.type === EVENT_CONNECTED) tiny.transport.resume(event.slot);
    else if (event.type === EVENT_END) tiny.transport.closeSlot(event.slot);
    else if (event.type === EVENT_CLOSED) closed.resolve(event.a);
    if (event.type !== EVENT_END) return;
    listener.close(() => tiny.transport.connectTcp('127.0.0.1', port, 0));
  });
  tiny.transport.connectTcp('127.0.0.1', port, 0);
  assert.equal(await closed.promise, 111);
  assert.deepEqual(kinds, [EVENT_CONNECTED, EVENT_DATA, EVENT_END, EVENT_CLOSED]);
  tiny.transport.close();
});

test('arguments that cannot be right are refused', () => {
  const tiny = new TinyTransport({}, () => {});
  const { transport, memory } = tiny;
  assert.throws(() => transport.add(-1, 0), invalidArgument('fd'));
  assert.throws(() => transport.add(0, 77), invalidArgument('framing'));
  assert.throws(() => transport.pause(-1), invalidArgument('slot'));
  assert.throws(() => transport.connectTcp('localhost', 1, 0), invalidArgument('host'));
  assert.throws(
    () => transport.defineFraming({ frameBytesMax: 1, lengthBytes: 5 }),
    invalidArgument('lengthBytes'),
  );
  assert.throws(() => transport.connectUnix('/nowhere/at/all', 0), systemCallFailed('ENOENT', 'connect'));
  memory.sends.set([0, memory.sendSlab.length - 1, 2]);
  memory.control[0] = 1;
  assert.throws(() => transport.flush(), invalidArgument('records'));
  assert.equal(memory.control[0], 0);
  transport.close();
  const options = { ...memory, outputBytesMax: 1 };
  const { Transport } = addon;
  assert.throws(
    () => new Transport({ ...options, events: new Uint32Array(5) }, () => {}),
    invalidArgument('events'),
  );
  assert.throws(
    () => new Transport({ ...options, asyncResource: 1 as unknown as object }, () => {}),
    invalidArgument('asyncResource'),
  );
});
