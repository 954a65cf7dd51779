import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyBytes } from '../../../kv/machine/reply-budget.js';
import { RespServer } from '../../../kv/resp/resp-server.js';
import { forEachTransport } from '../../support/transports.js';
import { until } from '../../support/until.js';
import { LocalBackend } from '../support/local-backend.js';
import { requestOf, respPair } from '../support/resp-pair.js';

test('one client too many is told so, and CONFIG SET maxclients makes room', async (t) => {
  const { connect, server } = await respPair(t, { clientsMax: 1 });
  const first = await connect();
  await first.asks('PING', '+PONG\r\n');
  const second = await connect();
  assert.equal(await second.hearsToTheEnd(), '-ERR max number of clients reached\r\n');
  assert.equal(server.figures().connectionsRefused, 1);
  await first.asks('CONFIG SET maxclients 2', '+OK\r\n');
  await (await connect()).asks('PING', '+PONG\r\n');
});

forEachTransport((transport) => {
  test(`${transport}: a client that does not read is not read from, and gets all its answers later`, async (t) => {
    const { connect, server } = await respPair(t, { transport });
    const client = await connect();
    const value = 'v'.repeat(100_000);
    await client.asks(['SET', 'big', value], '+OK\r\n');
    client.raw.socket.pause();
    const count = 100;
    client.raw.write(Buffer.concat(Array.from({ length: count }, () => requestOf(['GET', 'big']))));
    const other = await connect();
    let commands = -1;
    while (server.figures().commands !== commands) {
      commands = server.figures().commands; // until nothing more of the first client is taken
      for (let round = 0; round < 5; round += 1) await other.asks('ECHO x', '$1\r\nx\r\n');
      commands += 5;
    }
    client.raw.socket.resume();
    const answer = `$100000\r\n${value}\r\n`;
    await client.hears(answer.repeat(count));
  });
});

test('big reads among writes go to the log a few at a time, and not at all while a client does not read', async (t) => {
  const backend = new LocalBackend();
  const submit = backend.submit.bind(backend);
  const runs: number[] = [];
  backend.submit = (items, done) => {
    submit(items, (error, replies) => {
      runs.push((replies ?? []).reduce<number>((bytes, reply) => bytes + replyBytes(reply), 0));
      done(error, replies);
    });
  };
  const { connect } = await respPair(t, {}, backend);
  const client = await connect();
  const element = 'e'.repeat(10_000);
  await client.asks(['RPUSH', 'big', ...Array.from({ length: 100 }, () => element)], ':100\r\n');
  runs.length = 0;
  client.raw.socket.pause();
  const rounds = 100;
  const commands = Array.from({ length: rounds }, (_, at) => [
    requestOf(['SET', 'n', String(at)]),
    requestOf(['LRANGE', 'big', '0', '-1']),
    requestOf(['GET', 'n']),
  ]).flat();
  client.raw.write(Buffer.concat(commands));
  const other = await connect();
  let seen = -1;
  while (seen !== runs.length) {
    seen = runs.length;
    for (let round = 0; round < 5; round += 1) await other.asks('ECHO x', '$1\r\nx\r\n');
  }
  const taken = runs.reduce((sum, bytes) => sum + bytes, 0);
  assert(taken > 2 ** 20 && taken < 30 * 2 ** 20, `${taken} bytes of answers to a client that does not read`);
  client.raw.socket.resume();
  const list = `*100\r\n${`$10000\r\n${element}\r\n`.repeat(100)}`;
  for (let at = 0; at < rounds; at += 1)
    await client.hears(`+OK\r\n${list}$${String(at).length}\r\n${at}\r\n`);
  assert(Math.max(...runs) < 8 * 2 ** 20, `${Math.max(...runs)} bytes of answers at once`);
});

test('a read behind a short command that makes a long value is not refused for what came of it', async (t) => {
  const { connect } = await respPair(t, {}, new LocalBackend({ replyBytesMax: 3_000_000 }));
  const client = await connect();
  client.send('SETRANGE k 1999999 x');
  for (let at = 0; at < 4; at += 1) client.send('GET k');
  client.send('STRLEN k');
  const value = `$2000000\r\n${'\0'.repeat(1_999_999)}x\r\n`;
  await client.hears(`:2000000\r\n${value.repeat(4)}:2000000\r\n`);
});

test('one answer above the limit is refused in words, and the connection stays', async (t) => {
  const { connect } = await respPair(t, {}, new LocalBackend({ replyBytesMax: 100_000 }));
  const client = await connect();
  await client.asks(['RPUSH', 'l', 'e'.repeat(60_000), 'e'.repeat(60_000)], ':2\r\n');
  const refused =
    '-ERR the answer is too large, by itself or with those before it: the limit is 100000 bytes; ask for it in parts\r\n';
  await client.asks('LRANGE l 0 -1', refused);
  client.send('SET a 1');
  client.send('LRANGE l 0 -1');
  await client.hears(`+OK\r\n${refused}`);
  await client.asks('LLEN l', ':2\r\n');
});

test('output above the limit cuts a client that does not read', async (t) => {
  const { connect, server } = await respPair(t, { outputBytesMax: 2 ** 20, subscriberBytesMax: 2 ** 20 });
  const client = await connect();
  await client.asks(['SET', 'big', 'v'.repeat(1_200_000)], '+OK\r\n');
  client.send('GET big');
  await client.raw.closed();
  await until(() => server.clientCount === 0);
});

test('a request that is too large ends its connection, one at the limit does not', async (t) => {
  const { connect } = await respPair(t, { requestBytesMax: 65_536 });
  const client = await connect();
  await client.asks(['SET', 'a', 'x'.repeat(65_000)], '+OK\r\n');
  client.send(['SET', 'a', 'x'.repeat(65_537)]);
  assert.equal(await client.hearsToTheEnd(), '-ERR Protocol error: invalid bulk length\r\n');
  const other = await connect();
  other.send(['MSET', 'a', 'x'.repeat(40_000), 'b', 'x'.repeat(40_000)]);
  assert.equal(await other.hearsToTheEnd(), '-ERR Protocol error: too big request\r\n');
});

test('a request that stays unfinished ends its connection, a quiet connection stays', async (t) => {
  const { connect } = await respPair(t, { requestTimeoutMs: 1 });
  const [slow, quiet] = [await connect(), await connect()];
  slow.raw.write('*2\r\n$3\r\nGET');
  assert.equal(
    await slow.hearsToTheEnd(),
    '-ERR Protocol error: the request did not come to its end in time\r\n',
  );
  await quiet.asks('PING', '+PONG\r\n');
});

test('CONFIG SET timeout disconnects who is idle, but not a subscriber', async (t) => {
  const { connect } = await respPair(t);
  const [idle, subscriber] = [await connect(), await connect()];
  await subscriber.asks('SUBSCRIBE c', '*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n');
  await idle.asks('CONFIG SET timeout 1', '+OK\r\n');
  assert.equal(await idle.hearsToTheEnd(), '');
  await subscriber.asks('PING', '*2\r\n$4\r\npong\r\n$0\r\n\r\n');
});

test('unfinished requests of all clients together are bounded', async (t) => {
  const { connect, server } = await respPair(t, { requestBytesMax: 65_536, inputBytesMax: 131_072 });
  const half = `*2\r\n$3\r\nGET\r\n$60000\r\n${'x'.repeat(50_000)}`;
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
  for (const { raw } of clients) raw.write(half);
  await until(() => server.figures().protocolErrors > 0);
  await until(() => server.figures().inputBytes <= 131_072);
});

test('what a client sends behind a run that takes long waits, up to a bound', async (t) => {
  const backend = new LocalBackend();
  const waiting: (() => void)[] = [];
  const submit = backend.submit.bind(backend);
  backend.submit = (items, done) => {
    waiting.push(() => submit(items, done));
  };
  const { connect, server } = await respPair(t, { waitingBytesMax: 65_536 }, backend);
  const client = await connect();
  client.send('SET n 0');
  await until(() => waiting.length === 1);
  const count = 20_000;
  const payload = 'x'.repeat(1000);
  client.raw.write(Buffer.concat(Array.from({ length: count }, () => requestOf(['SET', 'k', payload]))));
  await until(() => server.figures().inputBytes > 65_536);
  await new Promise((resolve) => setImmediate(resolve));
  assert(server.figures().inputBytes < 4 * 2 ** 20, 'not read on');
  const { bytesReceived } = server.figures();
  assert(bytesReceived < count * 1000, 'the rest waits in the kernel, or with the client');
  backend.submit = submit;
  waiting[0]!();
  await client.hears('+OK\r\n'.repeat(count + 1));
  assert.equal(server.figures().inputBytes, 0);
});

test('options that make no sense are refused by name', () => {
  const backend = new LocalBackend();
  for (const options of [
    { clientsMax: 0 },
    { requestBytesMax: 10 },
    { inputBytesMax: 1 },
    { idleSeconds: -1 },
  ]) {
    assert.throws(() => new RespServer(backend, null, options), {
      code: 'KV_OPTION_INVALID',
      message: new RegExp(Object.keys(options)[0]!),
    });
  }
  backend.close();
});

test('what a client tells to be kept is bounded in bytes: watched keys, channels, queued commands', async (t) => {
  const { connect, server } = await respPair(t, { requestBytesMax: 65_536, inputBytesMax: 262_144 });
  const client = await connect();
  const long = (at: number): string => `${at}${'k'.repeat(60_000)}`;
  for (let at = 0; at < 4; at += 1) await client.asks(['WATCH', long(at), long(at).slice(0, 100)], '+OK\r\n');
  await client.asks(['WATCH', long(4)], '-ERR too many keys are watched\r\n');
  await client.asks(['SUBSCRIBE', long(4)], '-ERR too many subscriptions on one connection\r\n');
  const other = await connect();
  await other.asks('MULTI', '+OK\r\n');
  await other.asks(['SET', 'a', 'v'.repeat(40_000)], '-ERR the transaction is too large\r\n');
  await other.asks('EXEC', '-EXECABORT Transaction discarded because of previous errors.\r\n');
  await client.asks('UNWATCH', '+OK\r\n');
  await other.asks('MULTI', '+OK\r\n');
  await other.asks(['SET', 'a', 'v'.repeat(40_000)], '+QUEUED\r\n');
  await other.asks('EXEC', '*1\r\n+OK\r\n');
  for (let at = 0; at < 4; at += 1) await client.asks(['WATCH', long(at)], '+OK\r\n');
  client.raw.socket.destroy();
  await until(() => server.clientCount === 1);
  for (let at = 0; at < 4; at += 1) await other.asks(['WATCH', long(at)], '+OK\r\n');
});
