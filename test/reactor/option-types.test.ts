// Options of the wrong kind: refused by the constructor, with one code and the name of the option.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpServer, TcpClient, TcpServer, UdpServer } from '../../reactor/index.js';

const MODULE = new URL('file:///handlers.js');

const SERVER = {
  host: [5, null, {}],
  path: [5, '', 'x'.repeat(108)],
  fd: ['3', -1],
  port: ['80', 1.5, 65_536],
  backlog: ['x', 0, 1.5],
  ipv6Only: ['yes'],
  tls: ['pem', null],
  proxyProtocol: [1],
  reactor: [5],
  handlers: [undefined, null, 5, ''],
  threads: ['2', -1, 257],
  accept: ['everybody'],
  dispatch: ['best'],
  pin: ['yes'],
  spinMicros: ['5', -1, 1.5, 1001, Number.NaN, 5], // the last one: transport 'net' does not spin
  pool: [5],
  poolBytesMax: ['1 GiB'],
  restartBackoff: [5],
  logger: ['stderr'],
  connectionsMax: [0, '5'],
};

const WRONG = {
  TcpServer: { ...SERVER, idleTimeoutMs: ['1s', -1], codec: [{ kind: 'morse' }, 'tlv'], sequential: [1] },
  HttpServer: {
    ...SERVER,
    handlers: [...SERVER.handlers, {}],
    keepAliveTimeoutMs: ['1s', -1],
    handshakeTimeoutMs: [Number.NaN],
  },
  UdpServer: {
    host: SERVER.host,
    port: SERVER.port,
    fd: ['3'],
    ipv6Only: ['yes'],
    handlers: SERVER.handlers,
    threads: ['2', -1, 65],
    restartBackoff: [5],
    logger: ['stderr'],
  },
  TcpClient: {
    host: SERVER.host,
    path: [5],
    port: ['80', 0],
    tls: [5, null],
    reconnect: [5, true],
    connectTimeoutMs: ['1s'],
    loop: [5],
  },
};

const MAKE: Readonly<Record<keyof typeof WRONG, (options: object) => unknown>> = {
  // The casts are the point: JavaScript callers have no compiler to stop them.
  TcpServer: (options) => new TcpServer(options as ConstructorParameters<typeof TcpServer>[0]),
  HttpServer: (options) => new HttpServer(options as ConstructorParameters<typeof HttpServer>[0]),
  UdpServer: (options) => new UdpServer(options as ConstructorParameters<typeof UdpServer>[0]),
  TcpClient: (options) => new TcpClient(options),
};

for (const [name, wrong] of Object.entries(WRONG)) {
  const make = MAKE[name as keyof typeof WRONG];
  for (const [option, values] of Object.entries(wrong)) {
    test(`${name} refuses a wrong ${option} by name`, () => {
      const base = name === 'TcpClient' ? (option === 'path' ? {} : { port: 1 }) : { handlers: MODULE };
      for (const value of values as readonly unknown[]) {
        assert.throws(() => make({ ...base, [option]: value }), {
          code: 'REACTOR_OPTION_INVALID',
          message: new RegExp(`\\b${option}\\b`),
        });
      }
    });
  }
}
