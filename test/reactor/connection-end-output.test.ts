// endOutput(): our FIN goes out, the peer may go on.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Handlers, TcpServer, type TcpServerOptions, TRANSPORTS } from '../../reactor/index.js';

const MIB = 1024 * 1024;

for (const transport of TRANSPORTS) {
  test(`${transport}: after endOutput the peer has all output and our FIN, and its later frames still come`, async (t) => {
    const lines: string[] = [];
    const events = new EventEmitter();
    const closed = once(events, 'closed');
    const port = await serve(t, transport, {
      onConnect: (connection) => {
        connection.send('a'.repeat(MIB));
        connection.send('b');
        connection.endOutput();
        assert.equal(connection.send('too late'), 'closed');
      },
      onFrame: (connection, frame) => {
        lines.push(frame.body.toString());
        assert.equal(connection.send('still too late'), 'closed');
      },
      onClose: (_, reason) => void events.emit('closed', reason),
    });
    const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const text = await textUntilFin(peer);
    assert.equal(text.length, MIB + 3);
    assert.equal(text.slice(-2), 'b\n');
    peer.write('one\n');
    peer.end('two\n');
    assert.deepEqual(await closed, ['peer-ended']);
    assert.deepEqual(lines, ['one', 'two']);
  });

  test(`${transport}: endOutput after the peer's FIN ends a half-open connection in order`, async (t) => {
    const events = new EventEmitter();
    const closed = once(events, 'closed');
    const port = await serve(
      t,
      transport,
      {
        onHalfClose: (connection) => {
          connection.send('answer');
          connection.endOutput();
        },
        onClose: (_, reason) => void events.emit('closed', reason),
      },
      { allowHalfOpen: true },
    );
    const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    peer.end();
    assert.equal(await textUntilFin(peer), 'answer\n');
    assert.deepEqual(await closed, ['peer-ended']);
  });

  test(`${transport}: endOutput from inside a frame handler still delivers what the batch answers before it`, async (t) => {
    const port = await serve(t, transport, {
      onFrame: (connection, frame) => {
        connection.send(frame.body);
        if (frame.body.equals(Buffer.from('b'))) connection.endOutput();
      },
    });
    const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    peer.write('a\nb\nc\n');
    assert.equal(await textUntilFin(peer), 'a\nb\n');
    peer.end();
  });
}

async function serve(
  t: TestContext,
  transport: (typeof TRANSPORTS)[number],
  handlers: Handlers,
  options: Partial<TcpServerOptions> = {},
): Promise<number> {
  const server = new TcpServer({
    host: '127.0.0.1',
    threads: 0,
    transport,
    codec: { kind: 'line', frameBytesMax: 2 * MIB },
    ...options,
    handlers,
  });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  const { port } = await server.listen();
  assert(port !== undefined);
  return port;
}

/** Everything up to the server's FIN; the socket can still write. */
async function textUntilFin(socket: net.Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'end');
  return text;
}
