// Options of connections: defaults, and impossible values refused with the name of the option.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TcpServer, type TcpServerOptions } from '../../reactor/index.js';
import { resolveConnectionLimits } from '../../reactor/tcp-options.js';
import { forEachTransport } from '../support/transports.js';

test('without options the documented limits hold', () => {
  assert.deepEqual(resolveConnectionLimits({}), {
    highWaterBytes: 65_536,
    lowWaterBytes: 32_768,
    hardCapBytes: 8 * 1024 * 1024,
    overflow: 'close',
    pauseReadingWhenFull: true,
    sequential: false,
    pendingHandlersMax: 1024,
    allowHalfOpen: false,
    firstByteTimeoutMs: 60_000,
    handshakeTimeoutMs: 10_000,
    idleTimeoutMs: 0,
    readTimeoutMs: 0,
    writeTimeoutMs: 60_000,
    drainTimeoutMs: 10_000,
  });
});

const WRONG: readonly (readonly [object, RegExp])[] = [
  [{ highWaterBytes: '64k' }, /highWaterBytes must be a number/],
  [{ highWaterBytes: NaN }, /highWaterBytes/],
  [{ hardCapBytes: Infinity }, /hardCapBytes/],
  [{ lowWaterBytes: -1 }, /lowWaterBytes/],
  [{ lowWaterBytes: 65_536 }, /lowWaterBytes \(65536\) must be below highWaterBytes/],
  [{ highWaterBytes: 10, lowWaterBytes: 5, hardCapBytes: 9 }, /hardCapBytes/],
  [{ overflow: 'ignore' }, /overflow.*'ignore'/],
  [{ sequential: 'yes' }, /sequential must be a boolean/],
  [{ pendingHandlersMax: 0 }, /pendingHandlersMax/],
  [{ idleTimeoutMs: -5 }, /idleTimeoutMs/],
];
for (const [options, message] of WRONG) {
  test(`${JSON.stringify(options)} is refused with the option's name`, () => {
    assert.throws(() => resolveConnectionLimits(options), {
      code: 'REACTOR_OPTION_INVALID',
      message,
    });
  });
}

const WRONG_SERVERS: readonly (readonly [object, RegExp])[] = [
  [{ port: 65_536 }, /port/],
  [{ port: 80, path: '/tmp/x' }, /port, path and fd/],
  [{ fd: -1 }, /fd/],
  [{ connectionsMax: 0 }, /connectionsMax/],
  [{ connectionsPerAddressMax: 1.5 }, /connectionsPerAddressMax/],
  [{ codec: { kind: 'morse' } }, /kind/],
  [{ codec: { kind: 'fixed', frameBytes: 0 } }, /frameBytes/],
  [{ overflow: 'ignore' }, /overflow/],
  [{ threads: -1 }, /threads/],
  [{ threads: 1 }, /handlers must be the URL of a module/],
];
forEachTransport((transport) => {
  for (const [options, message] of WRONG_SERVERS) {
    test(`${transport}: a server with ${JSON.stringify(options)} is refused where it is made`, () => {
      const server = { threads: 0, transport, handlers: {}, ...options } as TcpServerOptions;
      assert.throws(() => new TcpServer(server), { code: 'REACTOR_OPTION_INVALID', message });
    });
  }
});

test('an unknown transport is refused with the list of known ones', () => {
  const options = { transport: 'pigeon', handlers: {}, threads: 0 } as unknown as TcpServerOptions;
  assert.throws(() => new TcpServer(options), { code: 'REACTOR_OPTION_INVALID', message: /net.*pigeon/ });
});
