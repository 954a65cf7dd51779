import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawClient } from '../../support/raw-client.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../../support/certificates.js';
import tls from 'node:tls';
import { once } from 'node:events';
import { RespServer } from '../../../kv/resp/resp-server.js';
import { LocalBackend } from '../support/local-backend.js';
import { respPair, RespTalk } from '../support/resp-pair.js';

test('CONFIG shows and changes what matters, all of it or nothing', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  await client.asks('CONFIG GET save', '*2\r\n$4\r\nsave\r\n$0\r\n\r\n');
  await client.asks(
    'CONFIG GET append*',
    '*4\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n',
  );
  await client.asks('CONFIG SET slowlog-max-len 5 timeout 7', '+OK\r\n');
  await client.asks('CONFIG GET timeout', '*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n');
  await client.asks(
    'CONFIG SET timeout 8 maxclients x',
    "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer\r\n",
  );
  await client.asks('CONFIG GET timeout', '*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n');
  await client.asks(
    'CONFIG SET nope 1',
    "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'\r\n",
  );
  await client.asks(
    'CONFIG SET port 1',
    "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n",
  );
  await client.asks(
    ['CONFIG', 'SET', 'save', '60 1'],
    "-ERR CONFIG SET failed (possibly related to argument 'save') - here it is always ''\r\n",
  );
  await client.asks(['CONFIG', 'SET', 'save', ''], '+OK\r\n');
  await client.asks('CONFIG SET proto-max-bulk-len 10', '+OK\r\n');
  client.send('SET a 12345678901');
  assert.equal(await client.hearsToTheEnd(), '-ERR Protocol error: invalid bulk length\r\n');
});

test('the slow log notes what took long, with the way through the log in it', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  await client.asks('SLOWLOG LEN', ':0\r\n');
  await client.asks('CONFIG SET slowlog-log-slower-than 0', '+OK\r\n');
  await client.asks('SLOWLOG RESET', '+OK\r\n');
  await client.asks(['SET', 'key', 'x'.repeat(200)], '+OK\r\n');
  await client.asks('CONFIG SET slowlog-log-slower-than -1', '+OK\r\n');
  const before = client.raw.receivedBytes;
  client.send('SLOWLOG GET 10');
  const text = (await client.raw.receive(before + 200)).toString('latin1', before);
  assert(text.includes(`$3\r\nSET\r\n$3\r\nkey\r\n`), text);
  assert(text.includes('... (72 more bytes)'), text);
});

test('COMMAND tells arity, flags and keys', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  await client.asks('COMMAND GETKEYS DEL a b', '*2\r\n$1\r\na\r\n$1\r\nb\r\n');
  await client.asks('COMMAND GETKEYS PING', '-ERR The command has no key arguments\r\n');
  await client.asks('COMMAND GETKEYS NOPE', '-ERR Invalid command specified\r\n');
  await client.asks(
    'COMMAND INFO get nope',
    '*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*0\r\n*0\r\n*-1\r\n',
  );
  await client.asks('COMMAND LIST FILTERBY PATTERN publi*', '*1\r\n$7\r\npublish\r\n');
});

test('CLIENT shows connections and kills them', async (t) => {
  const { connect, server } = await respPair(t);
  const [client, victim, third] = [await connect(), await connect(), await connect()];
  await victim.asks('CLIENT SETNAME victim', '+OK\r\n');
  await third.asks('CLIENT ID', ':3\r\n');
  await client.asks(
    ['CLIENT', 'SETNAME', 'a b'],
    '-ERR Client names cannot contain spaces, newlines or special characters.\r\n',
  );
  await client.asks('CLIENT SETINFO LIB-NAME tester', '+OK\r\n');
  const before = client.raw.receivedBytes;
  client.send('CLIENT LIST');
  const text = (await client.raw.receive(before + 600)).toString('latin1', before);
  assert.match(text, /id=2 addr=127\.0\.0\.1:\d+ .* name=victim /);
  assert.match(text, /cmd=client user=default .*lib-name=tester/);
  const other = await connect();
  await other.asks('CLIENT KILL ID 2', ':1\r\n');
  await assert.rejects(victim.hearsToTheEnd());
  await other.asks('CLIENT KILL 1.2.3.4:5', '-ERR No such client\r\n');
  await other.asks('CLIENT KILL ID 4 SKIPME no', ':1\r\n');
  assert.equal(await other.hearsToTheEnd(), '');
  assert.equal(server.figures().connections, 4);
});

test('what operators ask reaches the member, or is said not to be offered', async (t) => {
  const calls: string[] = [];
  const { connect } = await respPair(t, {
    admin: {
      members: () => [
        { id: 1, address: '127.0.0.1:1', isLearner: false },
        { id: 2, address: '127.0.0.1:2', isLearner: false },
        { id: 3, address: '127.0.0.1:3', isLearner: false },
      ],
      transfer: (to) => Promise.resolve(void calls.push(`transfer ${to}`)),
      snapshotNow: () => Promise.resolve(void calls.push('snapshot')),
    },
  });
  const client = await connect();
  await client.asks('RAFT.TRANSFER 2', '+OK\r\n');
  await client.asks('SAVE', '+OK\r\n');
  await client.asks('BGSAVE', '+Background saving started\r\n');
  await client.asks('WAIT 1 100', ':1\r\n');
  await client.asks('RAFT.SNAPSHOT', '+OK\r\n');
  assert.deepEqual(calls, ['transfer 2', 'snapshot', 'snapshot', 'snapshot']);
  const alone = await (await respPair(t)).connect();
  await alone.asks('RAFT.TRANSFER 2', '-ERR this server does not offer it\r\n');
  await alone.asks('SAVE', '-ERR this server does not offer it\r\n');
  await alone.asks('ROLE', /* as a leader */ '*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n');
});

test('TLS is spoken on the net transport, which is taken by itself, and refused in words with epoll', async (t) => {
  const certificate = { cert: SERVER_CERT, key: SERVER_KEY };
  const { port, server } = await respPair(t, { tls: certificate });
  assert.equal(server.transport, 'net');
  const socket = tls.connect({ port, host: '127.0.0.1', ca: AUTHORITY, servername: 'localhost' });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const client = new RespTalk(new RawClient(socket));
  await client.asks('SET a 1', '+OK\r\n');
  await client.asks('GET a', '$1\r\n1\r\n');
  const backend = new LocalBackend();
  assert.throws(() => new RespServer(backend, null, { tls: certificate, transport: 'epoll' }), {
    code: 'REACTOR_UNSUPPORTED',
  });
});
