// Every way in which an acquire can end without a connection, and that each hands on to the next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RpcError, type RpcErrorCode } from '../../rpc/errors.js';
import { connectedBench, connectionsOf, poolBench } from '../support/pool-bench.js';

function failsWith(code: RpcErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof RpcError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.equal(error.executed, 'no', 'a call without a connection was surely not executed');
    return true;
  };
}

test('when all connections stay full the acquire fails at its own deadline and says how things stand', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { connectionsMax: 1 });
  const [connection] = connectionsOf(host);
  while (connection!.callsInFlight < connection!.callsMax) hostPool.tryAcquire()!.beginCall();
  const short = assert.rejects(
    hostPool.acquire({ timeoutMs: 100 }),
    failsWith(
      'RPC_POOL_TIMEOUT',
      /host:1 came free within 100 ms \(1 of 1 connections, 0 dialling, 100 calls/,
    ),
  );
  const long = assert.rejects(hostPool.acquire(), failsWith('RPC_POOL_TIMEOUT', /within 5000 ms/));
  await time.pass(100);
  await short;
  assert.equal(hostPool.stats().waiting, 1);
  await time.pass(4900);
  await long;
  assert.equal(hostPool.stats().totals.timedOut, 2);
});

test('a host that cannot be reached is named with the reason of the last attempt', async (context) => {
  const { time, host, hostPool } = poolBench(context);
  host.answer = 'refuse';
  const failed = assert.rejects(hostPool.acquire(), (error: unknown) => {
    failsWith('RPC_CONNECT_FAILED', /host:1 could not be reached: .*ECONNREFUSED/)(error);
    assert(error instanceof RpcError && error.cause instanceof RpcError);
    assert.equal((error.cause.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED');
    return true;
  });
  await time.pass(5000);
  await failed;
});

test('who asked to fail fast learns of the first failed connect, and while the host is in backoff at once', async (context) => {
  const { time, host, hostPool } = poolBench(context);
  host.answer = 'refuse';
  const first = assert.rejects(
    hostPool.acquire({ isFailFast: true }),
    failsWith('RPC_CONNECT_FAILED', /ECONN/),
  );
  const patient = hostPool.acquire();
  await time.pass(10);
  await first;
  assert.equal(hostPool.state, 'backoff');
  await assert.rejects(hostPool.acquire({ isFailFast: true }), failsWith('RPC_CONNECT_FAILED', /ECONN/));
  assert.equal(host.dialTimes.length, 1, 'the second one made no dial');
  host.answer = 'accept';
  await time.pass(1100);
  assert.equal((await patient).state, 'open', 'who did not ask waits through the backoff');
});

test('what a host refuses us with keeps its code, since no other attempt would mend it', async (context) => {
  const { time, host, hostPool } = poolBench(context);
  host.answer = 'refuse';
  host.refusal = new RpcError('RPC_UNAUTHENTICATED', 'the token is not known');
  const failed = assert.rejects(
    hostPool.acquire({ isFailFast: true }),
    failsWith('RPC_UNAUTHENTICATED', /host:1 refuses us: the token is not known/),
  );
  await time.pass(10);
  await failed;
});

test('a connect that hangs ends at the connect timeout, and what it had begun is undone', async (context) => {
  const { time, host, hostPool } = poolBench(context, { acquireTimeoutMs: 60_000 });
  host.answer = 'hang';
  const failed = assert.rejects(
    hostPool.acquire({ isFailFast: true }),
    failsWith('RPC_CONNECT_FAILED', /did not answer within 10000 ms/),
  );
  await time.pass(9999);
  assert.equal(host.dialling, 1);
  await time.pass(1);
  await failed;
  assert.equal(host.dialling, 0);
});

test('an aborted acquire leaves the line, and the next one moves up', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { connectionsMax: 1 });
  const [connection] = connectionsOf(host);
  connection!.callsMax = 1;
  hostPool.tryAcquire()!.beginCall();
  const abort = new AbortController();
  const aborted = assert.rejects(
    hostPool.acquire({ signal: abort.signal }),
    failsWith('RPC_CANCELLED', /cancelled while it waited/),
  );
  const next = hostPool.acquire();
  abort.abort();
  await aborted;
  connection!.endCall();
  await time.pass(0);
  assert.equal(await next, connection);
  await assert.rejects(hostPool.acquire({ signal: abort.signal }), failsWith('RPC_CANCELLED', /cancelled/));
});

test('the line has an end', async (context) => {
  const { hostPool } = poolBench(context, { waitersMax: 2 });
  const waiting = [hostPool.acquire(), hostPool.acquire()].map((each) =>
    assert.rejects(each, failsWith('RPC_CLOSED', /closed/)),
  );
  await assert.rejects(hostPool.acquire(), failsWith('RPC_QUEUE_FULL', /2 calls already wait/));
  context.after(() => Promise.all(waiting));
});

test('a thousand who wait for a dead host make few dials, and whoever is left is served when it comes back', async (context) => {
  const { time, host, hostPool, events } = poolBench(context, { acquireTimeoutMs: 20_000 });
  host.answer = 'refuse';
  const started = time.nowMs();
  let timedOut = 0;
  let served = 0;
  const all = Array.from({ length: 1000 }, async (_, number) => {
    try {
      const connection = await hostPool.acquire({ timeoutMs: number < 900 ? 20 + number * 5 : 20_000 });
      connection.beginCall();
      served += 1;
    } catch (error) {
      failsWith('RPC_CONNECT_FAILED', /ECONN/)(error);
      timedOut += 1;
    }
  });
  await time.pass(4600);
  assert.equal(timedOut, 900);
  const perSecond = new Map<number, number>();
  for (const dial of host.dialTimes) {
    const second = Math.floor((dial - started) / 1000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
  }
  assert(Math.max(...perSecond.values()) <= 2, `dials per second: ${[...perSecond.values()].join(' ')}`);
  host.answer = 'accept';
  await time.pass(10_000);
  await Promise.all(all);
  assert.equal(served, 100);
  assert.equal(
    events.filter(({ kind }) => kind === 'connect-failed').length,
    hostPool.stats().totals.dialsFailed,
  );
});

test('what a waiter throws surfaces, and the next one is served all the same', async (context) => {
  const { time, hostPool } = poolBench(context);
  const thrown: unknown[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => void thrown.push(error));
  context.after(() => process.setUncaughtExceptionCaptureCallback(null));
  hostPool.wait({
    onConnection: () => {
      throw new Error('a bug');
    },
    onAcquireFailed: assert.ifError,
  });
  const next = hostPool.acquire();
  await time.pass(10);
  assert.equal((await next).state, 'open');
  assert.match(String(thrown[0]), /a bug/);
});
