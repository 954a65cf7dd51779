// The pool over real sockets: what a server sees of a thousand acquires at once, and of a thousand for a dead host.
// The protocol is a stand-in of one byte each way; sessions of ours are tested in client/.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { RpcError } from '../../rpc/errors.js';
import type { Instance } from '../../rpc/instance.js';
import { ConnectionPool } from '../../rpc/pool/connection-pool.js';
import type { PoolOptions } from '../../rpc/pool/pool-options.js';
import { systemPoolTime } from '../../rpc/pool/pool-time.js';
import type { PoolableConnection, PoolListener } from '../../rpc/pool/poolable.js';
import { parseInstance } from '../../rpc/resolve/instance-list.js';
import { until } from '../support/until.js';

/** A connection on which a call is a byte that comes back, in order. */
class ByteConnection implements PoolableConnection {
  readonly #socket: Socket;
  readonly #answered: (() => void)[] = [];
  readonly callsMax: number = 100;
  lastReceivedMs: number = systemPoolTime.nowMs();
  poolListener: PoolListener | null = null;
  isUsable: boolean = true;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.lastReceivedMs = systemPoolTime.nowMs();
      for (let count = bytes.length; count > 0; count -= 1) {
        this.#answered.shift()!();
        this.poolListener?.onCapacity();
      }
      if (!this.isUsable && this.callsInFlight === 0) socket.end();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      const wasUsable = this.isUsable;
      this.isUsable = false;
      this.poolListener?.onEnded(wasUsable ? new RpcError('RPC_CONNECTION_LOST', 'it broke') : null);
    });
  }

  get callsInFlight(): number {
    return this.#answered.length;
  }

  call(): Promise<void> {
    assert(this.callsInFlight < this.callsMax);
    this.#socket.write('?');
    return new Promise((resolve) => this.#answered.push(resolve));
  }

  ping(): Promise<void> {
    return this.call();
  }

  close(): void {
    this.isUsable = false;
    if (this.callsInFlight === 0) this.#socket.end();
  }

  destroy(): void {
    this.isUsable = false;
    this.#socket.destroy();
  }
}

class ByteServer {
  readonly server: Server = createServer((socket) => this.#accepted(socket));
  readonly #sockets: Set<Socket> = new Set();
  /** How long HELLO takes. */
  helloMs: number = 0;
  peak: number = 0;
  accepted: number = 0;

  get open(): number {
    return this.#sockets.size;
  }

  async listen(port: number = 0): Promise<number> {
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  /** As after kill -9. */
  kill(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #accepted(socket: Socket): void {
    this.accepted += 1;
    this.#sockets.add(socket);
    this.peak = Math.max(this.peak, this.#sockets.size);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    const greet = (): void => {
      socket.write('!');
      socket.on('data', (bytes: Buffer) => socket.write(bytes));
    };
    systemPoolTime.runAfter(this.helloMs, greet, true);
  }
}

/** Counts what it begins, and undoes it when it is told to. */
class ByteDialler {
  dials: number = 0;

  readonly dial = async ({ host, port }: Instance, signal: AbortSignal): Promise<ByteConnection> => {
    this.dials += 1;
    const socket = connect({ host, port, signal });
    socket.on('error', () => socket.destroy()); // `once` hears of it too, unless the signal came first
    await once(socket, 'data', { signal });
    return new ByteConnection(socket);
  };
}

async function serverFor(context: TestContext): Promise<{ server: ByteServer; instance: Instance }> {
  const server = new ByteServer();
  const port = await server.listen();
  context.after(() => server.kill());
  return { server, instance: parseInstance(`127.0.0.1:${port}`) };
}

function poolFor(
  context: TestContext,
  dialler: ByteDialler,
  options: PoolOptions = {},
): ConnectionPool<ByteConnection> {
  const pool = new ConnectionPool(dialler.dial, systemPoolTime, Math.random, options);
  context.after(() => pool.close(1000));
  return pool;
}

for (const mode of ['multiplexed', 'exclusive'] as const) {
  test(`a thousand acquires at once with a slow connect: the server never sees more than the maximum, ${mode}`, async (context) => {
    const { server, instance } = await serverFor(context);
    server.helloMs = 50;
    const pool = poolFor(context, new ByteDialler(), { mode, acquireTimeoutMs: 60_000 });
    const calls = Array.from({ length: 1000 }, async () => {
      const connection = await pool.acquire(instance);
      await connection.call();
      if (mode === 'exclusive') pool.release(connection);
    });
    await Promise.all(calls);
    assert(server.peak >= 2 && server.peak <= 10, `${server.peak} connections`);
    assert.equal(server.accepted, server.peak);
    await pool.close(1000);
    await until(() => server.open === 0);
  });
}

test('a thousand wait for a dead host: few connects, and the line moves on when the host is back', async (context) => {
  const { server, instance } = await serverFor(context);
  server.kill();
  const dialler = new ByteDialler();
  const pool = poolFor(context, dialler, { backoffFirstMs: 100, acquireTimeoutMs: 60_000 });
  const startedMs = systemPoolTime.nowMs();
  let timedOut = 0;
  const calls = Array.from({ length: 1000 }, async (_, number) => {
    try {
      const connection = await pool.acquire(instance, number % 2 === 0 ? { timeoutMs: 200 } : {});
      await connection.call();
    } catch (error) {
      assert(error instanceof RpcError && error.executed === 'no');
      timedOut += 1;
    }
  });
  await until(() => timedOut === 500);
  const seconds = (systemPoolTime.nowMs() - startedMs) / 1000;
  assert(dialler.dials <= 2 + seconds * 10, `${dialler.dials} dials in ${seconds} s`);
  const revived = new ByteServer();
  context.after(() => revived.kill());
  await revived.listen(instance.port);
  await Promise.all(calls);
  assert.equal(timedOut, 500);
  assert(revived.peak <= 10);
});

test('a server that accepts and says nothing costs the connect timeout, and its socket is closed', async (context) => {
  const { server, instance } = await serverFor(context);
  server.helloMs = 3_600_000;
  const pool = poolFor(context, new ByteDialler(), { connectTimeoutMs: 100 });
  await assert.rejects(pool.acquire(instance, { isFailFast: true }), {
    code: 'RPC_CONNECT_FAILED',
    message: /did not answer within 100 ms/,
  });
  await until(() => server.open === 0);
});

test('when a server is killed all its connections are lost, and once it is back new ones carry the calls', async (context) => {
  const { server, instance } = await serverFor(context);
  const pool = poolFor(context, new ByteDialler(), { connectionsMin: 8, backoffFirstMs: 20 });
  const host = pool.host(instance);
  host.warm();
  await until(() => host.stats().connections === 8);
  server.kill();
  await until(() => host.stats().connections === 0);
  assert(host.stats().totals.quarantines >= 1);
  const waiting = pool.acquire(instance);
  const revived = new ByteServer();
  context.after(() => revived.kill());
  await revived.listen(instance.port);
  await (await waiting).call();
});
