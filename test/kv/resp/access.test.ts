import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { AccessList } from '../../../kv/resp/access-list.js';
import { respPair } from '../support/resp-pair.js';

const SECRET = createHash('sha256').update('secret').digest('hex');
const OTHER = createHash('sha256').update('other').digest('hex');

const USERS = `
users:
  - name: default
    passwords: [${OTHER}]
    commands: ['+@all']
    keys: ['*']
    channels: ['*']
  - name: reader
    passwords: [${SECRET}]
    commands: ['+@read', '+@connection', '+@transaction', '+@pubsub', '-strlen']
    keys: ['app:*']
    channels: ['app.*']
  - name: gone
    enabled: false
    passwords: [${SECRET}]
    commands: ['+@all']
`;

test('a client says who it is before anything else', async (t) => {
  const { connect } = await respPair(t, { access: AccessList.parse(USERS, 'users.yaml') });
  const client = await connect();
  await client.asks('GET a', '-NOAUTH Authentication required.\r\n');
  await client.asks('PING', '-NOAUTH Authentication required.\r\n');
  await client.asks('AUTH secret', '-WRONGPASS invalid username-password pair or user is disabled.\r\n');
  await client.asks('AUTH gone secret', '-WRONGPASS invalid username-password pair or user is disabled.\r\n');
  await client.asks(
    'AUTH nobody secret',
    '-WRONGPASS invalid username-password pair or user is disabled.\r\n',
  );
  await client.asks('AUTH other', '+OK\r\n');
  await client.asks('ACL WHOAMI', '$7\r\ndefault\r\n');
  await client.asks('SET app:1 x', '+OK\r\n');
  await client.asks('AUTH reader secret', '+OK\r\n');
  await client.asks('ACL WHOAMI', "-NOPERM this user has no permissions to run the 'acl' command\r\n");
  await client.asks('GET app:1', '$1\r\nx\r\n');
});

test('HELLO may carry the password, and needs it', async (t) => {
  const { connect } = await respPair(t, { access: AccessList.parse(USERS, 'users.yaml') });
  const client = await connect();
  client.send('HELLO 3');
  client.send('HELLO 3 AUTH reader wrong');
  client.send('HELLO 3 AUTH reader secret');
  await client.hears(
    '-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> ' +
      'option can be used to authenticate the client and select the RESP protocol version at the same time\r\n' +
      '-WRONGPASS invalid username-password pair or user is disabled.\r\n%7\r\n',
  );
});

test('a user does what the file permits: commands, keys and channels', async (t) => {
  const { connect } = await respPair(t, { access: AccessList.parse(USERS, 'users.yaml') });
  const client = await connect();
  await client.asks('AUTH reader secret', '+OK\r\n');
  await client.asks('SET app:1 x', "-NOPERM this user has no permissions to run the 'set' command\r\n");
  await client.asks(
    'GET other',
    '-NOPERM this user has no permissions to access one of the keys used as arguments\r\n',
  );
  await client.asks('GET app:1', '$-1\r\n');
  await client.asks(
    'PUBLISH other x',
    '-NOPERM this user has no permissions to access one of the channels used as arguments\r\n',
  );
  await client.asks('PUBLISH app.x x', ':0\r\n');
  await client.asks(
    'PSUBSCRIBE app.x*',
    '-NOPERM this user has no permissions to access one of the channels used as arguments\r\n',
  );
  client.send('MULTI');
  client.send('GET other');
  client.send('EXEC');
  await client.hears(
    '+OK\r\n-NOPERM this user has no permissions to access one of the keys used as arguments\r\n' +
      '-EXECABORT Transaction discarded because of previous errors.\r\n',
  );
});

test('AUTH where nobody has a password is told so', async (t) => {
  const { connect } = await respPair(t);
  const client = await connect();
  await client.asks(
    'AUTH x',
    '-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n',
  );
  await client.asks('ACL LIST', '*1\r\n$31\r\nuser default on nopass ~* &* +@all\r\n'.replace('$31', '$34'));
});

test('other users take the place of those that were read before, and cut those that are gone', async (t) => {
  const { connect, server } = await respPair(t, { access: AccessList.parse(USERS, 'users.yaml') });
  const [kept, gone] = [await connect(), await connect()];
  await kept.asks('AUTH other', '+OK\r\n');
  await gone.asks('AUTH reader secret', '+OK\r\n');
  server.setAccess(
    new AccessList([{ name: 'default', passwords: [OTHER], commands: ['+get'], keys: ['*'] }]),
  );
  await kept.asks('SET a 1', "-NOPERM this user has no permissions to run the 'set' command\r\n");
  await kept.asks('GET a', '$-1\r\n');
  await assert.rejects(gone.hearsToTheEnd(), 'its connection was reset');
});

test('a file that is wrong is refused with what is wrong in it', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['users: {', /no YAML/],
    ['people: []', /must have a list 'users'/],
    ['users: [{name: "a b"}]', /name/],
    ['users: [{name: a, passwords: [abc]}]', /SHA-256/],
    ["users: [{name: a, commands: ['+@nope']}]", /\+@nope/],
    ['users: [{name: a, commands: [get]}]', /'get'/],
    ['users: [{name: a, keys: "*"}]', /keys of a must be a list/],
    ['users: [{name: a}, {name: a}]', /twice/],
    ['users: [{name: a, nopass: 1}]', /nopass/],
  ];
  for (const [text, message] of cases)
    assert.throws(() => AccessList.parse(text, 'u.yaml'), { code: 'KV_OPTION_INVALID', message }, text);
});
