// A server that closes does not wait for peers that have got everything and never close their side.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';

import { TcpServer } from '../../reactor/index.js';
import { LINGER_MS } from '../../reactor/limits.js';
import { TRANSPORTS } from '../support/transports.js';

for (const transport of TRANSPORTS) {
  test(`${transport}: peers that keep their side open do not hold a closing server up to its deadline`, async () => {
    const server = new TcpServer({
      host: '127.0.0.1',
      threads: 0,
      transport,
      handlers: { onFrame: { 1: (connection, frame) => connection.send(1, frame.body) } },
    });
    const { port = 0 } = await server.listen();
    const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.write(Buffer.from([1, 0, 0, 0, 1, 0, 0, 0, 7]));
    await once(client, 'data');
    const beganMs = performance.now();
    assert.deepEqual(await server.close({ drainTimeoutMs: 30_000 }), { drained: true });
    assert(performance.now() - beganMs < 10 * LINGER_MS, 'the deadline of 30 s was not waited for');
    client.destroy();
  });
}
