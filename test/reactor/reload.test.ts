// New code under load: no request is lost, no connection refused, and what is broken never takes over.
import assert from 'node:assert/strict';
import http from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ACCEPT_MODES, HttpServer, Reactor, TcpServer } from '../../reactor/index.js';
import { addressOf } from '../support/steered-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TlvClient } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';
import { httpModule, mortalTcpModule, tcpModule } from './fixtures/versioned-modules.js';

const CLIENTS = 8;

/** A module on disk that can be rewritten. */
class ModuleFile {
  readonly url: URL;

  constructor(t: TestContext, text: string) {
    this.url = pathToFileURL(join(temporaryFolder(t), 'handlers.mjs'));
    this.write(text);
  }

  write(text: string): void {
    writeFileSync(this.url, text);
  }
}

/** Versions that answered, in the order in which one client saw them, without repetitions. */
function versionsOf(answers: readonly string[]): string[] {
  const versions = answers.map((answer) => answer.split(' ')[0]!);
  return versions.filter((version, index) => version !== versions[index - 1]);
}

/** Asks in a closed loop until told to stop; a lost answer or a broken connection fails. */
async function askOn(address: string, signal: AbortSignal, seen: string[]): Promise<void> {
  const client = await TlvClient.connect(address);
  for (let count = 0; !signal.aborted; count += 1) {
    const { body } = await client.ask(1, `q${count}`);
    assert(body.toString().endsWith(` q${count}`));
    seen.push(body.toString());
  }
  client.socket.destroy();
}

/** Connects, asks once and leaves, over and over. */
async function visitOn(address: string, signal: AbortSignal): Promise<number> {
  let visits = 0;
  for (; !signal.aborted; visits += 1) {
    const client = await TlvClient.connect(address);
    await client.ask(1, 'visit');
    client.socket.destroy();
  }
  return visits;
}

function get(agent: http.Agent, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}

forEachTransport((transport) => {
  for (const accept of ACCEPT_MODES) {
    test(`TCP clients under load lose no request and newcomers none, while code is replaced (${transport}, ${accept})`, async (t) => {
      const module = new ModuleFile(t, tcpModule('v1'));
      const server = new TcpServer({
        transport,
        accept,
        threads: 2,
        host: '127.0.0.1',
        handlers: module.url,
      });
      t.after(() => server.close({ drainTimeoutMs: 0 }));
      const address = addressOf(await server.listen());
      const stop = new AbortController();
      const seen = Array.from({ length: CLIENTS }, (): string[] => []);
      const load = seen.map((answers) => askOn(address, stop.signal, answers));
      const visits = visitOn(address, stop.signal);
      for (const version of ['v2', 'v3']) {
        const before = seen.map(({ length }) => length);
        await until(() => seen.every(({ length }, index) => length > before[index]!));
        module.write(tcpModule(version));
        await server.reload();
      }
      const before = seen.map(({ length }) => length);
      await until(() => seen.every(({ length }, index) => length > before[index]!));
      stop.abort();
      await Promise.all(load);
      assert((await visits) > 0);
      for (const answers of seen) assert.deepEqual(versionsOf(answers), ['v1', 'v2', 'v3']);
      assert.equal(server.reactor.counters.total('connections_refused'), 0);
    });
  }

  for (const threads of [0, 2]) {
    test(`HTTP keep-alive connections lose no request while code is replaced (${transport}, threads ${threads})`, async (t) => {
      const module = new ModuleFile(t, httpModule(transport, 'v1'));
      const server = new HttpServer({ transport, threads, host: '127.0.0.1', handlers: module.url });
      t.after(() => server.close({ drainTimeoutMs: 0 }));
      const url = `http://${addressOf(await server.listen())}`;
      const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
      t.after(() => agent.destroy());
      const stop = new AbortController();
      const seen = Array.from({ length: CLIENTS }, (): string[] => []);
      const load = seen.map(async (answers) => {
        while (!stop.signal.aborted) {
          answers.push(await get(agent, `${url}/${answers.length}`));
          assert(answers.at(-1)!.endsWith(` /${answers.length - 1}`));
        }
      });
      await until(() => seen.every(({ length }) => length > 0));
      module.write(httpModule(transport, 'v2'));
      await server.reload();
      const before = seen.map(({ length }) => length);
      await until(() => seen.every(({ length }, index) => length > before[index]! + 1));
      stop.abort();
      await Promise.all(load);
      for (const answers of seen) assert.deepEqual(versionsOf(answers), ['v1', 'v2']);
      const { counters } = server.reactor;
      assert.equal(counters.total('connections_opened'), CLIENTS, 'every connection was kept');
    });
  }

  for (const threads of [0, 2]) {
    for (const [what, broken] of [
      ['does not parse', 'export default {'],
      ['throws when imported', 'throw new Error("broken on purpose");'],
      ['has no default export', 'export const handlers = {};'],
      ['throws when called', 'export default () => { throw new Error("broken on purpose"); };'],
      ['gives nonsense', 'export default () => ({ onFrame: 42 });'],
    ] as const) {
      test(`a module that ${what} is refused, the old code goes on, and a mended one is taken (${transport}, threads ${threads})`, async (t) => {
        const module = new ModuleFile(t, tcpModule('v1'));
        const server = new TcpServer({ transport, threads, host: '127.0.0.1', handlers: module.url });
        t.after(() => server.close({ drainTimeoutMs: 0 }));
        const client = await TlvClient.connect(addressOf(await server.listen()));
        module.write(broken);
        for (let attempt = 0; attempt < 2; attempt += 1) {
          await assert.rejects(server.reload(), { code: 'REACTOR_HANDLERS_INVALID' });
        }
        assert.equal((await client.ask(1, 'x')).body.toString(), 'v1 x');
        module.write(tcpModule('v2'));
        await server.reload();
        assert.equal((await client.ask(1, 'x')).body.toString(), 'v2 x');
        client.socket.destroy();
      });
    }
  }

  test(`a thread that starts after a reload, or during one, runs the new code (${transport})`, async (t) => {
    const module = new ModuleFile(t, tcpModule('v1'));
    const restartBackoff = { firstMs: 0, capMs: 0 };
    const options = { transport, threads: 2, host: '127.0.0.1', restartBackoff };
    const server = new TcpServer({ ...options, handlers: module.url });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    const address = addressOf(await server.listen());
    for (let round = 2; round < 6; round += 1) {
      const version = `v${round}`;
      module.write(mortalTcpModule(version));
      await server.reload();
      const killer = await TlvClient.connect(address);
      const ended = killer.ask(9, '').catch(() => {});
      const reloaded = server.reload();
      await Promise.all([ended, reloaded]);
      await until(() => server.reactor.threadStatus.every(({ state }) => state === 'up'));
      for (let count = 0; count < 4; count += 1) {
        const client = await TlvClient.connect(address);
        assert.equal((await client.ask(1, 'x')).body.toString(), `${version} x`);
        client.socket.destroy();
      }
      killer.socket.destroy();
    }
  });

  test(`a thread whose code does not load any more is started again until it does (${transport})`, async (t) => {
    const module = new ModuleFile(t, mortalTcpModule('v1'));
    const restartBackoff = { firstMs: 0, capMs: 0 };
    const options = { transport, threads: 2, host: '127.0.0.1', restartBackoff };
    const server = new TcpServer({ ...options, handlers: module.url });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    const address = addressOf(await server.listen());
    const { reactor } = server;
    const killer = await TlvClient.connect(address);
    await killer.ask(1, 'x');
    module.write('throw new Error("broken on purpose");');
    await killer.ask(9, '').catch(() => {});
    const restarts = (): number => reactor.counters.total('thread_restarts');
    await until(() => restarts() >= 3);
    assert.equal(reactor.threadsUp.length, 1);
    const kept = await TlvClient.connect(address);
    assert.equal((await kept.ask(1, 'x')).body.toString(), 'v1 x', 'the other thread goes on');
    module.write(tcpModule('v2'));
    await until(() => reactor.threadsUp.length === 2);
    const answers = new Set<string>();
    for (let count = 0; count < 4; count += 1) {
      const client = await TlvClient.connect(address);
      answers.add((await client.ask(1, 'x')).body.toString());
      client.socket.destroy();
    }
    assert.deepEqual([...answers].toSorted(), ['v1 x', 'v2 x']);
    kept.socket.destroy();
  });

  test(`reloads that are asked for at once end with the latest code everywhere (${transport})`, async (t) => {
    const module = new ModuleFile(t, tcpModule('v0'));
    const server = new TcpServer({ transport, threads: 2, host: '127.0.0.1', handlers: module.url });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    const address = addressOf(await server.listen());
    const reloads: Promise<void>[] = [];
    for (let round = 1; round <= 5; round += 1) {
      module.write(tcpModule(`v${round}`));
      reloads.push(server.reload());
    }
    await Promise.all(reloads);
    for (let count = 0; count < 4; count += 1) {
      const client = await TlvClient.connect(address);
      assert.equal((await client.ask(1, 'x')).body.toString(), 'v5 x');
      client.socket.destroy();
    }
  });

  test(`Reactor.reload loads the code of all its servers anew (${transport})`, async (t) => {
    const reactor = new Reactor({ transport, threads: 1 });
    t.after(() => reactor.close({ drainTimeoutMs: 0 }));
    const tcp = new ModuleFile(t, tcpModule('v1'));
    const web = new ModuleFile(t, httpModule(transport, 'v1'));
    const tcpServer = new TcpServer({ reactor, host: '127.0.0.1', handlers: tcp.url });
    const httpServer = new HttpServer({ reactor, host: '127.0.0.1', handlers: web.url });
    await Promise.all([tcpServer.listen(), httpServer.listen()]);
    tcp.write(tcpModule('v2'));
    web.write(httpModule(transport, 'v2'));
    await reactor.reload();
    const client = await TlvClient.connect(addressOf(tcpServer.address));
    assert.equal((await client.ask(1, 'x')).body.toString(), 'v2 x');
    client.socket.destroy();
    const response = await fetch(`http://${addressOf(httpServer.address)}/x`, {
      headers: { connection: 'close' },
    });
    assert.equal(await response.text(), 'v2 /x');
  });

  test(`handlers given as values have nothing to reload (${transport})`, async (t) => {
    const handlers = { onFrame: {} };
    const server = new TcpServer({ transport, threads: 0, host: '127.0.0.1', handlers });
    t.after(() => server.close());
    await server.listen();
    await server.reload();
  });
});
