import { test } from 'node:test';
import { ItemWriter } from '../../../kv/machine/batch.js';
import { LocalBackend } from '../support/local-backend.js';
import { respPair } from '../support/resp-pair.js';

test('EXEC answers in the order of queueing, with what the connection answers itself in between', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('MULTI');
  client.send('SET a 1');
  client.send('PING');
  client.send('GET a');
  client.send(['ECHO', 'x']);
  client.send('EXEC');
  await client.hears(
    '+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n+PONG\r\n$1\r\n1\r\n$1\r\nx\r\n',
  );
  await client.asks('EXEC', '-ERR EXEC without MULTI\r\n');
  await client.asks('DISCARD', '-ERR DISCARD without MULTI\r\n');
});

test('an empty transaction and one of local commands need no log', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('MULTI');
  client.send('EXEC');
  client.send('MULTI');
  client.send('PING');
  client.send('EXEC');
  await client.hears('+OK\r\n*0\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n');
});

test('a command that cannot be queued makes EXEC refuse the whole', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('MULTI');
  client.send('SET a 1');
  client.send('SET a');
  client.send('EXEC');
  client.send('GET a');
  await client.hears(
    "+OK\r\n+QUEUED\r\n-ERR wrong number of arguments for 'set' command\r\n" +
      '-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n',
  );
  client.send('MULTI');
  client.send('SUBSCRIBE c');
  client.send('EXEC');
  await client.hears(
    '+OK\r\n-ERR Command not allowed inside a transaction\r\n' +
      '-EXECABORT Transaction discarded because of previous errors.\r\n',
  );
});

test('MULTI and WATCH inside a transaction are refused and leave it whole', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('MULTI');
  client.send('MULTI');
  client.send('WATCH a');
  client.send('SET a 1');
  client.send('EXEC');
  await client.hears(
    '+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n+OK\r\n',
  );
});

test('DISCARD and RESET forget what was queued and watched', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('WATCH a');
  client.send('MULTI');
  client.send('SET a 1');
  client.send('DISCARD');
  client.send('GET a');
  await client.hears('+OK\r\n+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n');
  client.send('MULTI');
  client.send('RESET');
  client.send('GET a');
  await client.hears('+OK\r\n+RESET\r\n$-1\r\n');
});

test('a watched key that somebody changed makes EXEC answer nil, one that nobody changed does not', async (t) => {
  const { connect } = await respPair(t);
  const [client, other] = [await connect(), await connect()];
  for (const change of ['SET a 1', 'SET a 2', 'DEL a']) {
    await client.asks('WATCH a b', '+OK\r\n');
    other.send(change);
    await other.hears(change.startsWith('DEL') ? ':1\r\n' : '+OK\r\n');
    client.send('MULTI');
    client.send('SET b 1');
    client.send('EXEC');
    await client.hears('+OK\r\n+QUEUED\r\n*-1\r\n');
  }
  await client.asks('GET b', '$-1\r\n');
  await client.asks('WATCH a b', '+OK\r\n');
  client.send('MULTI');
  client.send('SET b 1');
  client.send('EXEC');
  await client.hears('+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n');
  await client.asks('WATCH b', '+OK\r\n');
  await client.asks('UNWATCH', '+OK\r\n');
  await other.asks('SET b 2', '+OK\r\n');
  client.send('MULTI');
  client.send('GET b');
  client.send('EXEC');
  await client.hears('+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n');
});

test('a watched key that was absent, came and went again makes EXEC answer nil', async (t) => {
  const { connect } = await respPair(t);
  const [client, other] = [await connect(), await connect()];
  for (const goes of ['DEL a', 'GETDEL a', 'FLUSHALL']) {
    await client.asks('WATCH a', '+OK\r\n');
    await other.asks('SET a 1', '+OK\r\n');
    await client.asks('GET a', '$1\r\n1\r\n');
    other.send(goes);
    await other.hears(goes === 'DEL a' ? ':1\r\n' : goes === 'FLUSHALL' ? '+OK\r\n' : '$1\r\n1\r\n');
    client.send('MULTI');
    client.send('SET b 1');
    client.send('EXEC');
    await client.hears('+OK\r\n+QUEUED\r\n*-1\r\n');
  }
  await client.asks('GET b', '$-1\r\n');
});

test('a watched key that is absent all the time does not keep EXEC from being executed', async (t) => {
  const { connect } = await respPair(t);
  const [client, other] = [await connect(), await connect()];
  await client.asks('WATCH a', '+OK\r\n');
  await other.asks('SET c 1', '+OK\r\n');
  client.send('MULTI');
  client.send('SET a 1');
  client.send('EXEC');
  await client.hears('+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n');
});

test('a watched key that was absent comes and goes while EXEC is on its way: EXEC answers nil', async (t) => {
  const backend = new LocalBackend();
  const { connect } = await respPair(t, {}, backend);
  const [client, other] = [await connect(), await connect()];
  const submit = backend.submit.bind(backend);
  const between: string[][] = [];
  backend.submit = (items, done) => {
    const writer = new ItemWriter();
    for (const args of between.splice(0)) writer.redis(args, false);
    if (writer.count > 0) submit(writer.take(), () => {}); // stands before it in the log
    submit(items, done);
  };
  const attempt = async (reply: string, ...meanwhile: string[][]): Promise<void> => {
    await client.asks('WATCH gone', '+OK\r\n');
    await client.asks('MULTI', '+OK\r\n');
    await client.asks('SET done 1', '+QUEUED\r\n');
    between.push(...meanwhile);
    await client.asks('EXEC', reply);
  };
  await attempt('*1\r\n+OK\r\n');
  await attempt('*1\r\n+OK\r\n', ['SET', 'other', '1'], ['APPEND', 'other', '2']);
  await attempt('*-1\r\n', ['SET', 'gone', '1'], ['DEL', 'gone']);
  await attempt('*-1\r\n', ['SET', 'gone', '1'], ['FLUSHALL']);
  await attempt('*-1\r\n', ['SET', 'gone', '1'], ['RENAME', 'gone', 'else']);
  await attempt('*-1\r\n', ['RPUSH', 'gone', '1'], ['LPOP', 'gone']);
  await attempt('*-1\r\n', ['SET', 'gone', '1'], ['PEXPIRE', 'gone', '-1']);
  await attempt('*1\r\n+OK\r\n');
  await other.asks('GET done', '$1\r\n1\r\n');
});

test('before all members remember where keys vanished, what this one remembers decides', async (t) => {
  const { connect } = await respPair(t, {}, new LocalBackend({ protocolVersion: 1 }));
  const [client, other] = [await connect(), await connect()];
  await client.asks('WATCH gone', '+OK\r\n');
  await other.asks('SET gone 1', '+OK\r\n');
  await other.asks('DEL gone', ':1\r\n');
  await client.asks('MULTI', '+OK\r\n');
  await client.asks('SET done 1', '+QUEUED\r\n');
  await client.asks('EXEC', '*-1\r\n');
});
