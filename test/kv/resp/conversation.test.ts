import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../../kv/errors.js';
import { until } from '../../support/until.js';
import { forEachTransport } from '../../support/transports.js';
import { LocalBackend } from '../support/local-backend.js';
import { requestOf, respPair } from '../support/resp-pair.js';

forEachTransport((transport) => {
  test(`${transport}: a pipeline cut at every byte is answered once, in order`, async (t) => {
    const { connect } = await respPair(t, { transport });
    const commands = [
      ['PING'],
      ['SET', 'k', 'one'],
      ['GET', 'k'],
      ['ECHO', 'x\r\n'],
      ['DEL', 'k', 'nothing'],
      ['GET', 'k'],
      ['NOSUCH'],
      ['GET', 'k'],
    ];
    const answers =
      "+PONG\r\n+OK\r\n$3\r\none\r\n$3\r\nx\r\n\r\n:1\r\n$-1\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n$-1\r\n";
    const wire = Buffer.concat(commands.map(requestOf));
    const client = await connect();
    for (let cut = 1; cut < wire.length; cut += 1) {
      client.raw.write(wire.subarray(0, cut));
      await new Promise(setImmediate);
      client.raw.write(wire.subarray(cut));
      await client.hears(answers);
    }
    for (const byte of wire) client.raw.write(Buffer.of(byte));
    await client.hears(answers);
  });

  test(`${transport}: what a client sent before it closed its side is still answered`, async (t) => {
    const { connect } = await respPair(t, { transport });
    const client = await connect();
    client.raw.write(
      Buffer.concat([requestOf(['SET', 'a', '1']), requestOf(['PING']), requestOf(['GET', 'a'])]),
    );
    client.raw.end();
    assert.equal(await client.hearsToTheEnd(), '+OK\r\n+PONG\r\n$1\r\n1\r\n');
  });

  test(`${transport}: a protocol error is answered after what came before it, and ends the connection`, async (t) => {
    const { connect, server } = await respPair(t, { transport });
    const client = await connect();
    client.raw.write(
      Buffer.concat([requestOf(['SET', 'a', '1']), Buffer.from('*1\r\n$-5\r\n'), requestOf(['PING'])]),
    );
    assert.equal(await client.hearsToTheEnd(), '+OK\r\n-ERR Protocol error: invalid bulk length\r\n');
    assert.equal(server.figures().protocolErrors, 1);
  });
});

test('a read behind a write of the same connection sees it, and one before it does not', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  const wire: Buffer[] = [];
  let answers = '';
  for (let round = 0; round < 2000; round += 1) {
    wire.push(requestOf(['GET', 'n']), requestOf(['SET', 'n', String(round)]), requestOf(['GET', 'n']));
    const before = String(round - 1);
    answers += round === 0 ? '$-1\r\n' : `$${before.length}\r\n${before}\r\n`;
    answers += `+OK\r\n$${String(round).length}\r\n${round}\r\n`;
    if (round % 97 === 0) wire.push(requestOf(['PING']));
    if (round % 97 === 0) answers += '+PONG\r\n';
  }
  client.raw.write(Buffer.concat(wire));
  await client.hears(answers);
});

test('unknown commands and wrong numbers of arguments leave the connection open', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  await client.asks('GET', "-ERR wrong number of arguments for 'get' command\r\n");
  await client.asks('get a b', "-ERR wrong number of arguments for 'get' command\r\n");
  await client.asks('foo a b', "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n");
  await client.asks(['a\r\nb'], "-ERR unknown command 'a  b', with args beginning with: \r\n");
  await client.asks('CONFIG NOPE', "-ERR unknown subcommand 'NOPE'. Try CONFIG HELP.\r\n");
  await client.asks('SELECT 1', '-ERR DB index is out of range\r\n');
  await client.asks('SELECT 0', '+OK\r\n');
  await client.asks('CLUSTER INFO', '-ERR This instance has cluster support disabled\r\n');
  await client.asks('MONITOR', '-ERR MONITOR is not supported\r\n');
  await client.asks('BLPOP k 0', "-ERR unknown command 'BLPOP', with args beginning with: 'k' '0' \r\n");
  await client.asks('PING', '+PONG\r\n');
});

test('HELLO chooses the protocol in the middle of a pipeline', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('GET none');
  client.send('HELLO 3 SETNAME tester');
  client.send('GET none');
  client.send('HELLO 4');
  client.send('HELLO x');
  client.send('CLIENT GETNAME');
  client.send('HELLO 2');
  client.send('GET none');
  const hello = (two: boolean): string =>
    `${two ? '*14' : '%7'}\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:${two ? 2 : 3}\r\n` +
    '$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n';
  await client.hears(
    `$-1\r\n${hello(false)}_\r\n-NOPROTO unsupported protocol version\r\n` +
      '-ERR Protocol version is not an integer or out of range\r\n$6\r\ntester\r\n' +
      `${hello(true)}$-1\r\n`,
  );
});

test('QUIT says good-bye, and what follows it is not executed', async (t) => {
  const { connect, backend } = await respPair(t);
  const client = await connect();
  client.send('SET a 1');
  client.send('QUIT');
  client.send('SET a 2');
  assert.equal(await client.hearsToTheEnd(), '+OK\r\n+OK\r\n');
  assert.equal(backend.machine.query(['GET', 'a']), '1');
});

test('CLIENT REPLY OFF and SKIP leave out answers, and nothing but answers', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  client.send('CLIENT REPLY SKIP');
  client.send('SET a 1');
  client.send('GET a');
  client.send('CLIENT REPLY OFF');
  client.send('SET a 2');
  client.send('PING');
  client.send('CLIENT REPLY ON');
  client.send('GET a');
  await client.hears('$1\r\n1\r\n+OK\r\n$1\r\n2\r\n');
});

test('failures of the log have their words, and the connection goes on', async (t) => {
  const { connect, backend } = await respPair(t);
  const client = await connect();
  const cases: readonly (readonly [ConstructorParameters<typeof KvError>[0], string])[] = [
    ['KV_NO_LEADER', '-CLUSTERDOWN No Raft leader\r\n'],
    ['KV_QUEUE_FULL', '-TRYAGAIN Too many commands wait for the log; this one was not executed\r\n'],
    ['KV_OUTCOME_UNKNOWN', '-TRYAGAIN No answer came in time; a write may or may not have been executed\r\n'],
    ['KV_QUOTA', "-OOM command not allowed when used memory > 'maxmemory'.\r\n"],
  ];
  for (const [code, answer] of cases) {
    backend.failure = new KvError(code, 'as the test wants it');
    await client.asks('SET a 1', answer);
    await client.asks('GET a', answer);
    await client.asks('WATCH a', answer);
    await client.asks('PING', '+PONG\r\n');
  }
  backend.failure = null;
  await client.asks('GET a', '$-1\r\n');
});

test('READONLY answers reads without a leader, READWRITE does not', async (t) => {
  const { connect, backend } = await respPair(t);
  const client = await connect();
  await client.asks('SET a 1', '+OK\r\n');
  backend.failure = new KvError('KV_NO_LEADER', 'none');
  await client.asks('READONLY', '+OK\r\n');
  await client.asks('GET a', '$1\r\n1\r\n');
  await client.asks('READWRITE', '+OK\r\n');
  await client.asks('GET a', '-CLUSTERDOWN No Raft leader\r\n');
});

test('memory above maxmemory refuses what needs more, by a limit that goes through the log', async (t) => {
  const { connect, backend } = await respPair(t);
  const client = await connect();
  await client.asks('CONFIG SET maxmemory 1kb', '+OK\r\n');
  assert.equal(backend.machine.settings.quotaBytes, 1024);
  await client.asks(['SET', 'a', 'x'.repeat(2000)], '+OK\r\n');
  await client.asks('SET b 1', "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  await client.asks('CONFIG GET maxmemory', '*2\r\n$9\r\nmaxmemory\r\n$4\r\n1024\r\n');
  await client.asks('CONFIG SET maxmemory 0', '+OK\r\n');
  await client.asks('SET b 1', '+OK\r\n');
});

test('a server that closes answers what is under way and takes nothing more', async (t) => {
  const backend = new LocalBackend();
  const waiting: (() => void)[] = [];
  const submit = backend.submit.bind(backend);
  backend.submit = (items, done) => {
    waiting.push(() => submit(items, done));
  };
  const { server, connect } = await respPair(t, {}, backend);
  const [busy, idle] = [await connect(), await connect()];
  await idle.asks('PING', '+PONG\r\n');
  busy.send('SET a 1');
  await until(() => waiting.length === 1);
  const closed = server.close(5000);
  assert.equal(await idle.hearsToTheEnd(), '');
  idle.raw.end();
  waiting[0]!();
  assert.equal(await busy.hearsToTheEnd(), '+OK\r\n');
  busy.raw.end();
  assert.deepEqual(await closed, { drained: true });
});
