// The load generator of the RPC suite, a program: connections × depth in a closed loop, each answer checked.
// It prints `connected`, waits for a line on its input, loads, prints `result`, and keeps its connections until its
// input ends. Modes: unary; tail, where one call in a hundred is slow and not counted; feed; hold.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { quantileMicros } from '../histogram.js';
import { LatencyRecorder } from './latency-recorder.js';
import { type LoadClient, type LoadOptions, loadClient } from './load-clients.js';

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
  const recorder = new LatencyRecorder();
  const startMs = performance.now();
  const measureFromMs = startMs + Number(values.warmup) * 1000;
  const endMs = measureFromMs + Number(values.duration) * 1000;
  const cpu = process.cpuUsage();
  let total = 0;
  let measured = 0;
  let failures = 0;
  const loop = async (client: LoadClient, index: number): Promise<void> => {
    for (let call = index; ; call += 1) {
      const sentMs = performance.now();
      if (sentMs >= endMs) return;
      const isSlow = mode === 'tail' && call % SLOW_EVERY === 0;
      try {
        if (mode === 'feed') await client.feed(FEED_MESSAGES, payload);
        else await client.echo(text, isSlow ? SLOW_MS : 0);
      } catch (error) {
        failures += 1;
        process.stderr.write(`${String(error)}\n`);
        return;
      }
      const doneMs = performance.now();
      const count = mode === 'feed' ? FEED_MESSAGES : 1;
      total += count;
      if (doneMs >= measureFromMs && doneMs <= endMs) measured += count;
      if (!isSlow && sentMs >= measureFromMs) recorder.record((doneMs - sentMs) * 1000);
    }
  };
  await Promise.all(
    clients.flatMap((client, at) =>
      Array.from({ length: depth }, (_, index) => loop(client, at * depth + index)),
    ),
  );
  const used = process.cpuUsage(cpu);
  // A tiny run on a busy machine may finish nothing in the time that counts: then all of it counts.
  const isTooShort = measured === 0;
  const seconds = isTooShort ? (performance.now() - startMs) / 1000 : Number(values.duration);
  if (isTooShort) measured = total;
  const histogram = recorder.histogram();
  return {
    event: 'result',
    mode,
    replies_total: total,
    ops_per_s: measured / seconds,
    bytes_per_s: (measured * payload) / seconds,
    cpu_user_us: used.user,
    cpu_system_us: used.system,
    p50_us: quantileMicros(histogram, 0.5),
    p99_us: quantileMicros(histogram, 0.99),
    p999_us: quantileMicros(histogram, 0.999),
    histogram,
    stalled: false,
    errors: { call: failures },
  };
}

/** Opens `depth` streams per connection and leaves them open. */
async function hold(): Promise<object> {
  for (const client of clients) await Promise.all(Array.from({ length: depth }, () => client.hold()));
  return { event: 'result', mode, replies_total: connections * depth, errors: {}, stalled: false };
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
