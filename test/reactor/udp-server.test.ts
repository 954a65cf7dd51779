import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadAddon } from '../../addon/index.js';
import { UdpClient } from '../../reactor/udp-client.js';
import { UdpServer, type UdpServerOptions } from '../../reactor/udp-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const MODULE = new URL('./fixtures/udp-handlers.js', import.meta.url);
const needsAddon = loadAddon() === null ? { skip: 'the addon is not built' } : {};

forEachTransport((transport) => {
  async function serve(t: TestContext, options: Partial<UdpServerOptions> = {}): Promise<UdpServer> {
    const server = new UdpServer({ host: '127.0.0.1', transport, handlers: MODULE, ...options });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    await server.listen();
    return server;
  }

  /** Sends one frame from a port of its own and gives the answer; '' when none came within `timeoutMs`. */
  async function ask(server: UdpServer, msgId: number, body: string, timeoutMs = 10_000): Promise<string> {
    const answers: string[] = [];
    const client = new UdpClient({
      ...server.address,
      transport,
      handlers: { onFrame: (_, frame) => void answers.push(String(frame.body)) },
    });
    await client.connect();
    client.send(msgId, body);
    const deadlineMs = performance.now() + timeoutMs;
    while (answers.length === 0 && performance.now() < deadlineMs) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.close();
    return answers[0] ?? '';
  }

  test(`a handler module is served by one thread of its own (${transport})`, async (t) => {
    const server = await serve(t);
    assert.equal(await ask(server, 1, 'echo'), 'echo');
    assert.equal(await ask(server, 2, ''), '0');
    assert.equal((await server.stats()).datagramsReceived, 2);
    assert.deepEqual(await server.close(), { drained: true });
  });

  test(
    `several threads share one port and every client is answered (${transport})`,
    needsAddon,
    async (t) => {
      const server = await serve(t, { threads: 2 });
      const threads = new Set<string>();
      for (let client = 0; client < 100 && threads.size < 2; client += 1)
        threads.add(await ask(server, 2, ''));
      assert.deepEqual([...threads].toSorted(), ['0', '1'], '100 clients all came to one thread');
    },
  );

  test(`a thread that ends is started again on the same port (${transport})`, async (t) => {
    const server = await serve(t, { restartBackoff: { firstMs: 1, capMs: 10 } });
    const { port } = server.address;
    assert.equal(await ask(server, 1, 'before'), 'before');
    await ask(server, 3, '', 0);
    let answer = '';
    for (let attempt = 0; attempt < 100 && answer === ''; attempt += 1)
      answer = await ask(server, 1, 'after', 100);
    assert.equal(answer, 'after');
    assert.equal(server.address.port, port);
  });

  test(
    `a port in use and a descriptor of something else are refused with a code, on one thread and on several (${transport})`,
    needsAddon,
    async (t) => {
      const taken = dgram.createSocket('udp4').bind(0, '127.0.0.1');
      await once(taken, 'listening');
      t.after(() => taken.close());
      const { port } = taken.address();
      for (const threads of [1, 2]) {
        const server = new UdpServer({ host: '127.0.0.1', transport, port, threads, handlers: MODULE });
        await assert.rejects(server.listen(), { code: 'REACTOR_PORT_IN_USE' });
      }
      const noSocket = new UdpServer({ transport, fd: 0, handlers: MODULE });
      await assert.rejects(noSocket.listen(), { code: 'REACTOR_LISTEN_FAILED' });
      const inline = new UdpServer({ host: '127.0.0.1', transport, port, handlers: {} });
      await assert.rejects(inline.listen(), { code: 'REACTOR_PORT_IN_USE' });
    },
  );

  test(
    `several threads do not silently join the port of another server that shares its own (${transport})`,
    needsAddon,
    async (t) => {
      const first = await serve(t, { threads: 2 });
      const second = new UdpServer({
        transport,
        host: '127.0.0.1',
        port: first.address.port,
        threads: 2,
        handlers: MODULE,
      });
      await assert.rejects(second.listen(), { code: 'REACTOR_PORT_IN_USE' });
    },
  );

  test(`reload puts new code in place and keeps the port; broken code changes nothing (${transport})`, async (t) => {
    const file = path.join(temporaryFolder(t), 'handlers.mjs');
    const write = (text: string): Promise<void> =>
      writeFile(file, `export default () => ({ onFrame: { 1: (peer) => peer.send(1, '${text}') } });`);
    for (const threads of [0, 1]) {
      await write('old');
      const server = await serve(t, { handlers: file, threads });
      assert.equal(await ask(server, 1, ''), 'old');
      await write('new');
      await server.reload();
      assert.equal(await ask(server, 1, ''), 'new');
      await writeFile(file, 'export default 7;');
      await assert.rejects(server.reload(), { code: 'REACTOR_HANDLERS_INVALID' });
      assert.equal(await ask(server, 1, ''), 'new');
    }
  });

  test(
    `a given descriptor is duplicated, so it outlives the server (${transport})`,
    needsAddon,
    async (t) => {
      const addon = loadAddon()!;
      const { fd, port } = addon.bindUdp({ host: '127.0.0.1', port: 0 });
      t.after(() => addon.closeFd(fd));
      for (let round = 0; round < 2; round += 1) {
        const server = new UdpServer({ transport, fd, handlers: MODULE });
        await server.listen();
        assert.equal(server.address.port, port);
        assert.equal(await ask(server, 1, 'inherited'), 'inherited');
        await server.close();
      }
    },
  );

  test(
    `a server whose handlers are wrong leaves the given descriptor alone, and none of its own (${transport})`,
    needsAddon,
    async (t) => {
      const addon = loadAddon()!;
      const { fd } = addon.bindUdp({ host: '127.0.0.1', port: 0 });
      t.after(() => addon.closeFd(fd));
      const fail = async (): Promise<number> => {
        const server = new UdpServer({ transport, fd, handlers: { onFrame: { x: () => {} } } as object });
        await assert.rejects(server.listen(), { code: 'REACTOR_HANDLERS_INVALID' });
        return readdirSync('/proc/self/fd').length;
      };
      const before = await fail(); // what Node opens once and keeps is open before we count
      assert.equal(await fail(), before);
      assert.equal('host' in addon.localAddress(fd), true);
    },
  );

  test(`bad options and bad modules are refused with a code (${transport})`, async () => {
    const bad: [UdpServerOptions, string][] = [
      [{ handlers: {}, threads: 1 }, 'REACTOR_OPTION_INVALID'],
      [{ handlers: MODULE, threads: 1.5 }, 'REACTOR_OPTION_INVALID'],
      [{ handlers: MODULE, port: 70_000 }, 'REACTOR_OPTION_INVALID'],
      [{ handlers: MODULE, fd: 3, port: 1 }, 'REACTOR_OPTION_INVALID'],
    ];
    for (const [options, code] of bad) assert.throws(() => new UdpServer(options), { code });
    for (const handlers of [
      new URL('./fixtures/no-such-module.js', import.meta.url),
      { onFrame: { x: () => {} } },
      { onFrame: { '0x10': () => {} } },
    ]) {
      const server = new UdpServer({ host: '127.0.0.1', transport, handlers });
      await assert.rejects(server.listen(), { code: 'REACTOR_HANDLERS_INVALID' });
    }
  });

  for (const threads of [0, 1, 2]) {
    test(
      `a server closed while it starts leaves nothing, threads ${threads} (${transport})`,
      needsAddon,
      async () => {
        const server = new UdpServer({ host: '127.0.0.1', transport, handlers: MODULE, threads });
        const listening = assert.rejects(server.listen(), { code: 'REACTOR_CLOSED' });
        await assert.rejects(server.listen(), { code: 'REACTOR_CLOSED' }, 'it is starting already');
        assert.deepEqual(await server.close(), { drained: true });
        await listening;
        assert.deepEqual(await server.close(), { drained: true });
      },
    );
  }

  test(`a closed server refuses to listen and its port is free again (${transport})`, async (t) => {
    const server = await serve(t);
    const { port } = server.address;
    await server.close();
    await assert.rejects(server.listen(), { code: 'REACTOR_CLOSED' });
    const next = await serve(t, { port });
    await until(() => next.address.port === port);
  });
});
