// Where connections come from: IPv4, IPv6, both at once, Unix sockets with a file and without.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import { test, type TestContext } from 'node:test';
import { loadAddon } from '../../addon/index.js';
import { type Handlers, TcpServer } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { serve, type WatchedServer } from '../support/tcp-pair.js';
import { temporarySocketPath } from '../support/temporary-folder.js';
import { forEachTransport } from '../support/transports.js';

const WHO: Handlers = {
  onFrame: (connection) => connection.send(1, `${connection.remoteAddress} ${connection.remotePort}`),
};
const hasIpv6 = Object.values(os.networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
const withIpv6 = { skip: hasIpv6 ? false : 'this system has no ::1' };
const withAddon = { skip: loadAddon() === null ? 'the addon is not built' : false };

/** What the server takes us for. */
async function ask(t: TestContext, where: net.NetConnectOpts): Promise<string> {
  const client = await RawClient.connect(t, where);
  client.send(1);
  const [answer] = await client.receiveFrames(1);
  client.end();
  await client.closed();
  return answer!.body.toString();
}

async function askWithPort(t: TestContext, { server }: WatchedServer, host: string): Promise<string> {
  const answer = await ask(t, { host, port: server.address.port! });
  return answer.replace(/ \d+$/, '');
}

forEachTransport((transport) => {
  test(`${transport}: an IPv6 server sees an IPv6 address`, withIpv6, async (t) => {
    const watched = await serve(t, transport, WHO, { host: '::1' });
    assert.equal(await askWithPort(t, watched, '::1'), '::1');
    assert.equal(watched.server.address.host, '::1');
  });

  test(`${transport}: one dual-stack server takes IPv6 and IPv4`, withIpv6, async (t) => {
    const watched = await serve(t, transport, WHO, { host: '::' });
    assert.equal(await askWithPort(t, watched, '::1'), '::1');
    assert.equal(await askWithPort(t, watched, '127.0.0.1'), '::ffff:127.0.0.1');
  });

  test(`${transport}: ipv6Only keeps IPv4 off`, withIpv6, async (t) => {
    const watched = await serve(t, transport, WHO, { host: '::', ipv6Only: true });
    assert.equal(await askWithPort(t, watched, '::1'), '::1');
    await assert.rejects(askWithPort(t, watched, '127.0.0.1'), { code: 'ECONNREFUSED' });
  });

  test(`${transport}: a Unix socket serves, has no addresses, and its file goes with the server`, async (t) => {
    const file = temporarySocketPath(t);
    const watched = await serve(t, transport, WHO, { path: file });
    assert.equal(watched.server.address.path, file);
    assert.equal(await ask(t, { path: file }), 'undefined undefined');
    await watched.closed();
    await watched.close();
    await assert.rejects(fs.stat(file), { code: 'ENOENT' });
  });

  test(`${transport}: a reset of a Unix connection ends it`, async (t) => {
    const file = temporarySocketPath(t);
    const watched = await serve(
      t,
      transport,
      { onFrame: (connection) => connection.reset() },
      { path: file },
    );
    const client = await RawClient.connect(t, { path: file });
    client.send(1);
    await client.closed();
    assert.deepEqual(await watched.closed(), ['reset']);
  });

  test(
    `${transport}: an abstract Unix socket has exactly the name that was given, and leaves no file`,
    withAddon,
    async (t) => {
      const name = `reactor-net-test-${process.pid}`;
      const watched = await serve(t, transport, WHO, { path: `\0${name}` });
      assert((await unixSocketNames()).includes(`@${name}`));
      if (await nodePadsAbstractNames()) return; // Node 20 fills a name up with zeros: it cannot reach this one
      assert.equal(await ask(t, { path: `\0${name}` }), 'undefined undefined');
      await watched.closed();
    },
  );

  test(`${transport}: a socket file that nobody listens on any more is replaced, one in use is not`, async (t) => {
    const file = temporarySocketPath(t);
    await leaveStaleSocket(file);
    const watched = await serve(t, transport, WHO, { path: file });
    assert.equal(await ask(t, { path: file }), 'undefined undefined');
    const second = new TcpServer({ path: file, threads: 0, transport, handlers: WHO });
    await assert.rejects(second.listen(), { code: 'REACTOR_PORT_IN_USE' });
    assert.equal(await ask(t, { path: file }), 'undefined undefined', 'the first still serves');
    await watched.closed(2);
  });

  test(`${transport}: a file that is no socket is not touched`, async (t) => {
    const file = temporarySocketPath(t);
    await fs.writeFile(file, 'precious');
    const server = new TcpServer({ path: file, threads: 0, transport, handlers: WHO });
    await assert.rejects(server.listen(), {
      code: 'REACTOR_PORT_IN_USE',
      message: /a file that is no socket/,
    });
    assert.equal(await fs.readFile(file, 'utf8'), 'precious');
  });
});

/** A socket file as a killed server leaves it behind. */
async function leaveStaleSocket(file: string): Promise<void> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(`${file}.old`, resolve));
  await fs.rename(`${file}.old`, file);
  await new Promise((resolve) => server.close(resolve));
  assert((await fs.stat(file)).isSocket());
}

async function nodePadsAbstractNames(): Promise<boolean> {
  const name = `reactor-net-padding-${process.pid}`;
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve));
  const isExact = (await unixSocketNames()).includes(`@${name}`);
  await new Promise((resolve) => server.close(resolve));
  return !isExact;
}

async function unixSocketNames(): Promise<string[]> {
  const table = await fs.readFile('/proc/net/unix', 'latin1');
  return table.split('\n').map((line) => line.split(' ').at(-1) ?? '');
}
