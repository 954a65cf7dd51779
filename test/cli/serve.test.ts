import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { TRANSPORTS } from '../../reactor/index.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { forEachTransport } from '../support/transports.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';

const LOCAL = '127.0.0.1:0';
const isRoot = process.getuid?.() === 0;

function ask(url: string, options: RequestInit = {}): Promise<Response> {
  return fetch(url, { ...options, headers: { connection: 'close' } });
}

for (const transport of TRANSPORTS) {
  test(`${transport}: each listener does what the contract says, and the ready line tells where`, async (t) => {
    const unix = join(temporaryFolder(t), 'socket');
    const args = ['--tcp', LOCAL, '--http', LOCAL, '--metrics', LOCAL, '--unix', unix];
    const command = new Command(t, ['serve', '--json', '--threads', '2', '--transport', transport, ...args]);
    const { pid, listen } = await command.ready();
    assert.equal(pid, command.child.pid);
    assert.deepEqual(Object.keys(listen).toSorted(), ['http', 'metrics', 'tcp', 'unix']);
    for (const address of [listen['tcp']!, listen['unix']!]) {
      const client = await TlvClient.connect(address);
      const echoed = await client.ask(1, 'hello');
      assert.deepEqual([echoed.msgId, echoed.body.toString()], [1, 'hello']);
      const before = BigInt(Date.now()) * 1000n;
      client.socket.write(Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 7]));
      const time = await client.ask(3, '');
      assert.deepEqual([time.msgId, time.body.length], [3, 8]);
      const micros = time.body.readBigUInt64LE();
      assert(micros >= before - 2000n && micros <= before + 10_000_000n, String(micros));
      client.socket.destroy();
    }
    const web = `http://${listen['http']}`;
    assert.equal(await (await ask(`${web}/`)).text(), 'hello world');
    assert.equal(await (await ask(`${web}/echo`, { method: 'POST', body: 'back' })).text(), 'back');
    assert.equal((await ask(`${web}/elsewhere`)).status, 404);
    const metrics = await (await ask(`http://${listen['metrics']}/metrics`)).text();
    assert.match(metrics, /^reactor_net_frames_received_total\{thread="0"\} \d/m);
    assert.equal(await command.stop(), 0);
    assert.equal(command.lines.filter((line) => line.includes('"ready"')).length, 1);
    assert(!existsSync(unix));
  });
}

forEachTransport((transport) => {
  test(`a datagram is answered to its sender, and counted; a malformed one by its code (${transport})`, async (t) => {
    const args = ['--udp', LOCAL, '--metrics', LOCAL, '--threads', '1', '--transport', transport];
    const command = new Command(t, ['serve', '--json', ...args]);
    const { listen } = await command.ready();
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    const [host, port] = listen['udp']!.split(':');
    socket.send('no frame', Number(port), host);
    socket.send(tlvFrame(1, 'hello'), Number(port), host);
    const [answer] = (await once(socket, 'message')) as [Buffer];
    assert.deepEqual(answer, tlvFrame(1, 'hello'));
    for (let scrape = 0; scrape < 2; scrape += 1) {
      const metrics = await (await ask(`http://${listen['metrics']}/metrics`)).text();
      assert.match(metrics, /^reactor_net_datagrams_received_total\{thread="main"\} 2$/m);
      assert.match(metrics, /^reactor_net_errors_total\{thread="main",code="REACTOR_FRAME_MALFORMED"\} 1$/m);
    }
    assert.equal(await command.stop(), 0);
  });
});

test('with a certificate TCP and HTTP speak TLS, and with an authority clients must show one', async (t) => {
  const path = temporaryFolder(t);
  const files = { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY };
  const flags = Object.entries(files).flatMap(([name, text]) => {
    writeFileSync(join(path, name), text);
    return [`--tls-${name}`, join(path, name)];
  });
  const command = new Command(t, [
    'serve',
    '--json',
    '--tcp',
    LOCAL,
    '--http',
    LOCAL,
    '--threads',
    '1',
    ...flags,
  ]);
  const { listen } = await command.ready();
  const client = { ca: AUTHORITY, cert: CLIENT_CERT, key: CLIENT_KEY, agent: false };
  const [response] = (await once(https.get(`https://${listen['http']}/`, client), 'response')) as [
    IncomingMessage,
  ];
  assert.equal(response.statusCode, 200);
  response.resume();
  const [host, port] = listen['tcp']!.split(':');
  const secure = tls.connect({ host, port: Number(port), ...client });
  t.after(() => secure.destroy());
  secure.write(tlvFrame(1, 'secret'));
  const [answer] = (await once(secure, 'data')) as [Buffer];
  assert.deepEqual(answer, tlvFrame(1, 'secret'));
  const stranger = https.get(`https://${listen['http']}/`, { ca: AUTHORITY, agent: false });
  await assert.rejects(once(stranger, 'response'));
});

test('every line on standard output is JSON with --json, and figures follow the ready line', async (t) => {
  const command = new Command(t, [
    'serve',
    '--json',
    '--tcp',
    LOCAL,
    '--threads',
    '1',
    '--stats-interval',
    '20ms',
  ]);
  const { listen } = await command.ready();
  const client = await TlvClient.connect(listen['tcp']!);
  await client.ask(1, 'x');
  const line = await command.line((text) => text.includes('"stats"') && text.includes('"frames":1'));
  const stats = JSON.parse(line) as {
    connections: number;
    threads: { thread: number; connections: number }[];
  };
  assert.equal(stats.connections, 1);
  assert.deepEqual(
    stats.threads.map(({ thread, connections }) => [thread, connections]),
    [
      [0, 1],
      ['main', 0],
    ],
  );
  client.socket.destroy();
  await command.stop();
  for (const text of command.lines) JSON.parse(text);
});

test('without --json people read where to go', async (t) => {
  const command = new Command(t, ['serve', '--http', LOCAL, '--threads', '1']);
  await command.line((line) => /HTTP {5}http:\/\/127\.0\.0\.1:\d+\/$/.test(line));
  assert.equal(await command.stop('SIGINT'), 0);
});

test('health is on the HTTP port where there is no metrics port', async (t) => {
  const command = new Command(t, ['serve', '--json', '--http', LOCAL, '--threads', '1']);
  const { listen } = await command.ready();
  for (const path of ['/healthz', '/readyz']) {
    assert.equal((await ask(`http://${listen['http']}${path}`)).status, 200);
  }
});

test('a busy port ends with exit code 1 and one line that names the flag', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as { port: number };
  for (const flag of ['--tcp', '--http', '--metrics']) {
    const others = flag === '--metrics' ? ['--tcp', LOCAL] : [];
    const command = new Command(t, ['serve', flag, `127.0.0.1:${port}`, ...others, '--threads', '1']);
    assert.equal(await command.exitCode, 1);
    assert.match(command.stderr, new RegExp(`^reactor-net: ${flag}: .*:${port}.*port 0.*\n$`));
    assert.deepEqual(command.lines, []);
  }
});

test('wrong usage ends with exit code 2 and one line', async (t) => {
  const command = new Command(t, ['serve', '--treads', '2']);
  assert.equal(await command.exitCode, 2);
  assert.equal(
    command.stderr,
    'reactor-net: --treads: no such flag; did you mean --threads? --help lists them\n',
  );
});

test('a handler module that does not load ends with one line that names it', async (t) => {
  const module = join(temporaryFolder(t), 'broken.mjs');
  writeFileSync(module, 'export default 42;');
  const command = new Command(t, ['serve', '--tcp', LOCAL, '--threads', '1', '--handlers', module]);
  assert.equal(await command.exitCode, 1);
  assert.match(command.stderr, /^reactor-net: --handlers: .*broken\.mjs.*\n$/);
});

test('values come from the environment and from the configuration file', async (t) => {
  const file = join(temporaryFolder(t), 'flags.yaml');
  writeFileSync(file, `tcp: "${LOCAL}"\nthreads: 1\n`);
  const command = new Command(t, ['serve', '--config', file], { REACTOR_NET_JSON: 'true' });
  assert.deepEqual(Object.keys((await command.ready()).listen), ['tcp']);
});

test('root gives its rights up once the port is bound', { skip: !isRoot && 'only root can' }, async (t) => {
  const command = new Command(t, ['serve', '--json', '--http', LOCAL, '--threads', '1', '--user', 'nobody']);
  const { pid, listen } = await command.ready();
  const threads = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.doesNotMatch(threads, /^Uid:.*\b0\b/m);
  assert.doesNotMatch(threads, /^Gid:.*\b0\b/m);
  assert.equal((await ask(`http://${listen['http']}/`)).status, 200);
});

test('a user that does not exist is wrong usage', {
  skip: !isRoot && 'only root gets that far',
}, async (t) => {
  const command = new Command(t, ['serve', '--tcp', LOCAL, '--threads', '1', '--user', 'no-such-user']);
  assert.equal(await command.exitCode, 2);
  assert.match(command.stderr, /^reactor-net: --user: there is no user "no-such-user" on this system\n$/);
});
