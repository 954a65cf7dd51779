// Close to the descriptor limit newcomers wait in the kernel instead of being accepted and dropped.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ACCEPT_MODES } from '../../reactor/index.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const DESCRIPTORS = 128;
const CLIENTS = 120;
/** More than those that wait: what is kept free, and what two threads may take between two counts. */
const SPARE = 24;
const SCRIPT = fileURLToPath(new URL('fixtures/few-descriptors.js', import.meta.url));

/** Starts the server under a limit; each call of what this gives is the next line it prints. */
function startLimited(t: TestContext, ...args: string[]): { line: () => Promise<unknown>; end: () => void } {
  const command = `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', command, process.execPath, SCRIPT, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    line: async () => {
      const { value, done } = await lines.next();
      assert(done !== true, 'the server prints one more line');
      return JSON.parse(value) as unknown;
    },
    end: () => child.stdin.end(),
  };
}

class Client {
  readonly socket: net.Socket;
  isAnswered = false;
  isClosed = false;

  constructor(t: TestContext, port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    t.after(() => this.socket.destroy());
    this.socket.on('error', () => {}); // 'close' tells
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.once('data', () => (this.isAnswered = true));
    this.socket.write(tlvFrame(1, 'x'));
  }
}

forEachTransport((transport) => {
  for (const accept of ACCEPT_MODES) {
    for (const threads of accept === 'master' ? [0, 1, 2] : [2]) {
      test(`short of descriptors accepting pauses, drops nobody and goes on (${transport}, ${accept}, threads ${threads})`, async (t) => {
        const server = startLimited(t, transport, accept, String(threads));
        const port = (await server.line()) as number;
        const clients = Array.from({ length: CLIENTS }, () => new Client(t, port));
        const pause = (await server.line()) as { open: number; cpuShare: number };
        assert(pause.open < CLIENTS, 'not all fit');
        assert(pause.cpuShare < 0.5, `a pause costs next to nothing, not ${pause.cpuShare} of a processor`);
        await until(() => clients.filter(({ isAnswered }) => isAnswered).length === pause.open);
        assert(!clients.some(({ isClosed }) => isClosed), 'the others wait');

        const served = clients.filter(({ isAnswered }) => isAnswered).slice(0, CLIENTS - pause.open + SPARE);
        for (const { socket } of served) socket.destroy();
        await until(() => clients.every(({ isAnswered }) => isAnswered));
        server.end();
        const total = (await server.line()) as Record<string, number>;
        assert(total['paused']! >= 1);
        assert.deepEqual(total, {
          accepted: CLIENTS,
          refused: 0,
          paused: total['paused'],
          coded: total['paused'],
        });
      });
    }
  }
});
