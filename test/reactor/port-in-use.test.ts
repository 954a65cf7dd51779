// Addresses that cannot be listened on are refused at once, by a code, and leave nothing behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { requireAddon } from '../../addon/index.js';
import { ACCEPT_MODES, TcpServer, type TcpServerOptions } from '../../reactor/index.js';
import { openDescriptors, serveSteered, STEERED_HANDLERS } from '../support/steered-server.js';
import { forEachTransport, type TransportName } from '../support/transports.js';
import { TlvClient } from '../support/tlv.js';
import { temporarySocketPath } from '../support/temporary-folder.js';

async function stranger(t: TestContext, options: net.ListenOptions): Promise<net.AddressInfo> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // who only probed is gone before the greeting
    socket.end('stranger');
  });
  server.listen(options);
  t.after(() => server.close());
  await once(server, 'listening');
  return server.address() as net.AddressInfo;
}

async function refusesToListen(
  options: Omit<TcpServerOptions, 'handlers'>,
  code: string,
  message: RegExp,
): Promise<void> {
  const server = new TcpServer({ ...options, handlers: STEERED_HANDLERS });
  await assert.rejects(server.listen(), { code, message });
}

/** Binds a path, ends without removing it, as a process that was killed does. */
function leaveStale(path: string): void {
  const addon = requireAddon();
  addon.closeFd(addon.listenUnix({ path, backlog: 1 }));
}

forEachTransport((transport: TransportName) => {
  for (const threads of [0, 2]) {
    for (const accept of ACCEPT_MODES) {
      test(`a port in use is refused by name (${transport}, ${accept}, threads ${threads})`, async (t) => {
        const { port } = await stranger(t, { host: '127.0.0.1', port: 0 });
        await refusesToListen(
          { transport, threads, accept, host: '127.0.0.1', port },
          'REACTOR_PORT_IN_USE',
          new RegExp(`127\\.0\\.0\\.1:${port} is in use`),
        );
      });
    }
  }

  test(`SO_REUSEPORT does not share a port with a stranger who allows it, in any mode (${transport})`, async (t) => {
    const addon = requireAddon();
    const taken = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 1, reusePort: true });
    t.after(() => addon.closeFd(taken.fd));
    for (const accept of ACCEPT_MODES) {
      await refusesToListen(
        { transport, threads: 1, accept, host: '127.0.0.1', port: taken.port },
        'REACTOR_PORT_IN_USE',
        /in use/,
      );
    }
  });

  test(`two servers of ours do not share a port either (${transport})`, async (t) => {
    const first = await serveSteered(t, { transport, threads: 1, accept: 'reuseport' });
    const { port } = first.address;
    const options = { transport, threads: 1, accept: 'reuseport', host: '127.0.0.1' } as const;
    await refusesToListen({ ...options, port: port! }, 'REACTOR_PORT_IN_USE', /in use/);
    await (await first.connect()).ask(1, 'still served');
  });

  test(`a Unix path that somebody listens on is refused, and left to them (${transport})`, async (t) => {
    const path = temporarySocketPath(t);
    await stranger(t, { path });
    for (const threads of [0, 1]) {
      await refusesToListen({ transport, threads, path }, 'REACTOR_PORT_IN_USE', /socket is in use/);
      const [greeting] = await once(net.connect(path), 'data');
      assert.equal(String(greeting), 'stranger');
    }
  });

  test(`a Unix socket nobody listens on any more is replaced (${transport})`, async (t) => {
    const path = temporarySocketPath(t);
    leaveStale(path);
    assert(existsSync(path));
    const steered = await serveSteered(t, { transport, threads: 1, path });
    await (await steered.connect()).ask(1, 'served');
  });

  test(`an ordinary file is never replaced by a socket (${transport})`, async (t) => {
    const path = temporarySocketPath(t);
    writeFileSync(path, 'mine');
    await refusesToListen({ transport, threads: 0, path }, 'REACTOR_PORT_IN_USE', /in use/);
    assert(existsSync(path));
  });

  test(`closing does not remove the socket of a newer server at the same path (${transport})`, async (t) => {
    const path = temporarySocketPath(t);
    const old = await serveSteered(t, { transport, threads: 0, path });
    rmSync(path);
    await serveSteered(t, { transport, threads: 0, path });
    await old.server.close();
    await (await TlvClient.connect(path)).ask(1, 'served by the newer');
  });

  for (const [host, message] of [
    ['no-such-host.invalid', /cannot resolve the host 'no-such-host\.invalid'/],
    ['192.0.2.1', /cannot listen on 192\.0\.2\.1:0/], // a documentation address, of no interface
  ] as const) {
    test(`the host ${host} is refused by name (${transport})`, async () => {
      await refusesToListen({ transport, threads: 0, host, port: 0 }, 'REACTOR_LISTEN_FAILED', message);
    });
  }

  test(`a path in a folder that does not exist is refused (${transport})`, async () => {
    const path = '/nowhere/at/all/socket';
    await refusesToListen(
      { transport, threads: 0, path },
      'REACTOR_LISTEN_FAILED',
      /cannot listen on \/nowhere/,
    );
  });

  test(`a descriptor that is no socket is refused (${transport})`, async (t) => {
    const fd = openSync('/dev/null', 'r');
    t.after(() => closeSync(fd));
    const message = new RegExp(`cannot listen on descriptor ${fd}`);
    await refusesToListen({ transport, threads: 0, fd }, 'REACTOR_LISTEN_FAILED', message);
  });

  for (const port of [-1, 65_536, 1.5, Number.NaN]) {
    test(`port ${port} is an impossible option (${transport})`, () => {
      assert.throws(() => new TcpServer({ transport, threads: 0, port, handlers: STEERED_HANDLERS }), {
        code: 'REACTOR_OPTION_INVALID',
        message: /port/,
      });
    });
  }

  test(`servers that could not be made or could not listen leave no descriptor and no thread (${transport})`, async (t) => {
    const { port } = await stranger(t, { host: '127.0.0.1', port: 0 });
    const attempt = async (): Promise<void> => {
      await refusesToListen({ transport, threads: 2, host: '127.0.0.1', port }, 'REACTOR_PORT_IN_USE', /use/);
      const base = { transport, threads: 2, port: 0 };
      for (const options of [
        { ...base, handlers: STEERED_HANDLERS, highWaterBytes: -1 },
        { ...base, handlers: STEERED_HANDLERS, codec: { kind: 'fixed', frameBytes: 0 } },
        { ...base, handlers: {} }, // values cannot cross to threads
      ] as const) {
        assert.throws(() => new TcpServer(options), { code: 'REACTOR_OPTION_INVALID' });
      }
      await new Promise((resolve) => setImmediate(resolve));
    };
    await attempt();
    const before = openDescriptors().length;
    for (let count = 0; count < 3; count += 1) await attempt();
    assert.equal(openDescriptors().length, before);
  });
});
