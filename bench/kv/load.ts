// The load generator of the KV suite, a program: clients in a closed loop on one store, each answer checked.
// It opens what its clients need, prints `connected`, waits for a line on its input, loads, prints `result`, and keeps its
// connections until its input ends. `--rate` makes it an open loop instead: puts at fixed times, whatever the answers do.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { closedLoop } from '../closed-loop.js';
import { openLoop } from './open-loop.js';
import { type StoreKind, storeClient } from './load-clients.js';

const CROWD = 64;

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'kv' },
    address: { type: 'string' },
    mode: { type: 'string', default: 'put' },
    clients: { type: 'string', default: '1' },
    payload: { type: 'string', default: '256' },
    keys: { type: 'string', default: '10000' },
    /** 'true': puts every key first. */
    fill: { type: 'string', default: 'false' },
    /** Seconds of 64 clients ahead of everything: few clients make too few requests to have this program compiled. */
    crowd: { type: 'string', default: '0' },
    warmup: { type: 'string', default: '0.2' },
    duration: { type: 'string', default: '1' },
    /** Puts per second of an open loop; 0: a closed one. */
    rate: { type: 'string', default: '0' },
  },
});
const { mode } = values;
const [clients, payload, keys, rate] = [values.clients, values.payload, values.keys, values.rate].map(
  Number,
) as [number, number, number, number];
const value = Buffer.alloc(payload, 'x');
const store = storeClient(values.kind as StoreKind, values.address ?? ''); // the suite's own words

await store.open();
if (values.fill === 'true') await fill();
if (Number(values.crowd) > 0) {
  await closedLoop({ loops: CROWD, warmupSeconds: 0, durationSeconds: Number(values.crowd), call });
}
const input = createInterface({ input: process.stdin });
const inputEnded = once(input, 'close');
print({ event: 'connected' });
await once(input, 'line');
const result = await load();
print({ event: 'result', mode, ...result, bytes_per_s: result.ops_per_s * payload });
await inputEnded;
await store.close();

function load(): ReturnType<typeof closedLoop> {
  const times = { warmupSeconds: Number(values.warmup), durationSeconds: Number(values.duration) };
  if (rate > 0) return openLoop({ ...times, rate, clients, call });
  return closedLoop({ ...times, loops: clients, call });
}

function call(client: number): Promise<void> {
  return mode === 'get' ? store.get(anyKey(), payload) : store.put(client, anyKey(), value);
}

async function fill(): Promise<void> {
  let next = 0;
  const run = async (client: number): Promise<void> => {
    while (next < keys) {
      const key = keyOf(next);
      next += 1;
      await store.put(client, key, value);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => run(client)));
}

function anyKey(): string {
  return keyOf(Math.floor(Math.random() * keys));
}

function keyOf(number: number): string {
  return `bench:${String(number).padStart(10, '0')}`;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
