import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/until.js';
import { respPair } from '../support/resp-pair.js';

test('messages reach those who listen, by name and by pattern, in the order of publishing', async (t) => {
  const { connect } = await respPair(t);
  const [two, three, publisher] = [await connect(), await connect(), await connect()];
  await two.asks('SUBSCRIBE news', '*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n');
  three.send('HELLO 3');
  three.send('PSUBSCRIBE n?ws*');
  await until(() => three.raw.received().includes('psubscribe'));
  const before = three.raw.receivedBytes;
  await publisher.asks('PUBLISH news one', ':2\r\n');
  await publisher.asks('PUBLISH newspaper two', ':1\r\n');
  await publisher.asks('PUBLISH other three', ':0\r\n');
  await two.hears('*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n');
  const pushes =
    '>4\r\n$8\r\npmessage\r\n$5\r\nn?ws*\r\n$4\r\nnews\r\n$3\r\none\r\n' +
    '>4\r\n$8\r\npmessage\r\n$5\r\nn?ws*\r\n$9\r\nnewspaper\r\n$3\r\ntwo\r\n';
  assert.equal((await three.raw.receive(before + pushes.length)).toString('latin1', before), pushes);
  await publisher.asks('PUBSUB CHANNELS', '*1\r\n$4\r\nnews\r\n');
  await publisher.asks('PUBSUB NUMSUB news x', '*4\r\n$4\r\nnews\r\n:1\r\n$1\r\nx\r\n:0\r\n');
  await publisher.asks('PUBSUB NUMPAT', ':1\r\n');
});

test('a subscribed connection in RESP2 takes nothing but what belongs to subscribing', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  await client.asks(
    'SUBSCRIBE a b',
    '*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n',
  );
  await client.asks(
    'GET a',
    "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
  );
  await client.asks('PING', '*2\r\n$4\r\npong\r\n$0\r\n\r\n');
  await client.asks(
    'UNSUBSCRIBE',
    '*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n',
  );
  await client.asks('UNSUBSCRIBE', '*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n');
  await client.asks('GET a', '$-1\r\n');
});

test('a subscriber in RESP3 may go on with everything, and hears its own messages', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('HELLO 3');
  client.send('SUBSCRIBE c');
  client.send('SET a 1');
  client.send('PUBLISH c m');
  client.send('GET a');
  await until(() => client.raw.received().toString().endsWith('$1\r\n1\r\n'));
  const text = client.raw.received().toString();
  assert(text.includes('>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n'));
  assert(text.includes('+OK\r\n'));
  assert(text.includes('>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n'));
  assert(text.includes(':1\r\n$1\r\n1\r\n'));
});

test('who leaves hears nothing more and is not counted', async (t) => {
  const { connect, server } = await respPair(t);
  const [listener, publisher] = [await connect(), await connect()];
  await listener.asks('SUBSCRIBE c', '*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n');
  listener.raw.reset();
  await until(() => server.clientCount === 1);
  await publisher.asks('PUBLISH c m', ':0\r\n');
  await publisher.asks('PUBSUB CHANNELS', '*0\r\n');
});

test('a subscriber that does not read is cut, and the others hear on', async (t) => {
  const { connect, server } = await respPair(t, {
    subscriberBytesMax: 2 ** 20,
    subscriberSoftBytes: 2 ** 19,
  });
  const [deaf, good, publisher] = [await connect(), await connect(), await connect()];
  await deaf.asks('SUBSCRIBE c', '*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n');
  await good.asks('SUBSCRIBE c', '*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n');
  deaf.raw.socket.pause();
  const message = 'x'.repeat(100_000);
  const push = `*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100000\r\n${message}\r\n`;
  for (let count = 0; server.figures().clientsCut === 0; count += 1) {
    assert(count < 1000, 'cut long before');
    publisher.send(['PUBLISH', 'c', message]);
    await good.hears(push);
  }
  await until(() => server.clientCount === 2);
});
