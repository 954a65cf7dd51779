// The load generator of the RPC suite, a program: connections × depth in a closed loop, each answer checked.
// It prints `connected`, waits for a line on its input, loads, prints `result`, and keeps its connections until its
// input ends. Modes: unary; tail, where one call in a hundred is slow and not counted; feed; hold.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { closedLoop } from '../closed-loop.js';
import { type LoadOptions, loadClient } from './load-clients.js';

const FEED_MESSAGES = 1000;
const SLOW_MS = 10;
const SLOW_EVERY = 100;

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'rpc' },
    transport: { type: 'string', default: 'net' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' },
    mode: { type: 'string', default: 'unary' },
    connections: { type: 'string', default: '1' },
    depth: { type: 'string', default: '1' },
    payload: { type: 'string', default: '64' },
    warmup: { type: 'string', default: '0.2' },
    duration: { type: 'string', default: '1' },
  },
});
const { mode } = values;
const [connections, depth, payload] = [values.connections, values.depth, values.payload].map(Number) as [
  number,
  number,
  number,
];
const text = 'x'.repeat(payload);
const options = {
  kind: values.kind,
  transport: values.transport,
  host: values.host,
  port: Number(values.port),
} as LoadOptions; // the suite's own words

const clients = Array.from({ length: connections }, () => loadClient(options));
await Promise.all(clients.map((client) => client.connect()));
const input = createInterface({ input: process.stdin });
const inputEnded = once(input, 'close');
print({ event: 'connected' });
await once(input, 'line');
print(mode === 'hold' ? await hold() : await load());
await inputEnded;
await Promise.all(clients.map((client) => client.close()));

async function load(): Promise<object> {
  const perCall = mode === 'feed' ? FEED_MESSAGES : 1;
  const result = await closedLoop({
    loops: connections * depth,
    warmupSeconds: Number(values.warmup),
    durationSeconds: Number(values.duration),
    perCall,
    isCounted: (call) => mode !== 'tail' || call % SLOW_EVERY !== 0,
    call: (loop, call) => {
      const client = clients[Math.floor(loop / depth)]!; // loops are connections × depth
      if (mode === 'feed') return client.feed(FEED_MESSAGES, payload);
      return client.echo(text, mode === 'tail' && call % SLOW_EVERY === 0 ? SLOW_MS : 0);
    },
  });
  return { event: 'result', mode, ...result, bytes_per_s: result.ops_per_s * payload };
}

/** Opens `depth` streams per connection and leaves them open. */
async function hold(): Promise<object> {
  for (const client of clients) await Promise.all(Array.from({ length: depth }, () => client.hold()));
  return { event: 'result', mode, replies_total: connections * depth, errors: {}, stalled: false };
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
