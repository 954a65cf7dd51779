// The same conversations over real sockets to a real server: a dozen rude clients at once, cut anywhere, and one that
// behaves, whose calls have to be answered all the while. In the end the server holds nothing of theirs.

import assert from 'node:assert/strict';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { RpcClient, RpcServer } from '../../rpc/index.js';
import { ECHO } from '../rpc/support/echo.js';
import type { SeededRandom } from '../support/seeded-random.js';
import { fuzzedService } from './rpc-fuzz.js';
import { clientFrames, wirePieces } from './rpc-mutations.js';

const RUDE_CLIENTS = 12;
const PATIENCE_MS = 30_000;

export async function fuzzRpcSockets(random: SeededRandom): Promise<void> {
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    threads: 0,
    services: [fuzzedService(random)],
    helloTimeoutMs: 2000,
  });
  const { port } = await server.listen();
  const client = new RpcClient({ target: `127.0.0.1:${port}` });
  try {
    const rude = Array.from({ length: RUDE_CLIENTS }, () => {
      const pieces = wirePieces(random, clientFrames(random));
      return beRude(port!, pieces, random.pick(['end', 'reset', 'linger']));
    });
    for (let call = 0; call < 20; call += 1) {
      assert.equal((await client.unary(ECHO.say, { text: 'hi' })).text, 'hi', 'the good client is answered');
    }
    await Promise.all(rude);
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const [figures] = await server.figures();
      if (figures!.connections <= 2 && figures!.callsInFlight === 0) break;
      assert(performance.now() < deadlineMs, `the server still holds ${JSON.stringify(figures)}`);
      await nextTurn();
    }
    await client.unary(ECHO.say, { text: 'bye' });
  } finally {
    await client.close(0);
    await server.close({ graceMs: 0 });
  }
}

/** Resolves when the connection is gone. */
async function beRude(
  port: number,
  pieces: readonly Buffer[],
  ending: 'end' | 'reset' | 'linger',
): Promise<void> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => {}); // the server may be done with it at any time
  socket.on('data', () => {});
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await nextTurn();
  }
  if (ending === 'reset') {
    socket.resetAndDestroy();
  } else if (ending === 'end') {
    socket.end();
  } else {
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    socket.destroy();
  }
  const impatience = setTimeout(() => socket.destroy(), PATIENCE_MS / 3);
  await closed;
  clearTimeout(impatience);
}
