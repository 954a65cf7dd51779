// What one SET costs in the state machine: `node --expose-gc dist/bench/kv/machine.js [keys] [bytes]`.
// Not a suite of `npm run bench`; docs/kv-machine.md quotes it. CPU time, so that a busy machine falsifies little.
// Batches of 1, 16 and 256 commands, at the origin (replies wanted) and elsewhere; then memory per key, snapshot and restore.

import { cpus } from 'node:os';
import { BatchWriter, ItemWriter } from '../../kv/machine/batch.js';
import { Machine } from '../../kv/machine/machine.js';

const KEYS = Number(process.argv[2] ?? 100_000);
const VALUE_BYTES = Number(process.argv[3] ?? 256);
const COMMANDS = 200_000;

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${KEYS} keys, values of ${VALUE_BYTES} bytes`,
);

const heapBefore = heapUsed();
const machine = new Machine({ history: { changesMax: 0 } });
let index = 0;
let sequence = 0;
for (let first = 0; first < KEYS; first += 256) {
  const numbers = Array.from({ length: Math.min(256, KEYS - first) }, (_, offset) => scatter(first + offset));
  apply(machine, batchOf(numbers), false);
}
const perKey = (heapUsed() - heapBefore) / KEYS;
const payload = keyOf(0).length + VALUE_BYTES;
console.log(
  `memory: ${perKey.toFixed(0)} bytes per key, ${(perKey - payload).toFixed(0)} above the ${payload} of key and value; ` +
    `counted ${(machine.memoryBytes / KEYS).toFixed(0)}`,
);

for (const [where, wantsReplies] of [
  ['origin', true],
  ['follower', false],
] as const) {
  for (const history of [0, 65_536]) {
    for (const size of [1, 16, 256]) {
      const subject = Machine.restore(machineBytes(), { history: { changesMax: history } });
      sequence = 1_000_000;
      const rounds: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const batches: Buffer[] = [];
        for (let first = 0; first < COMMANDS; first += size) {
          batches.push(
            batchOf(
              Array.from({ length: size }, (_, offset) => scatter((first + offset + round * 7919) % KEYS)),
            ),
          );
        }
        const cpu = process.cpuUsage();
        for (const batch of batches) apply(subject, batch, wantsReplies);
        const { user, system } = process.cpuUsage(cpu);
        rounds.push((user + system) / COMMANDS);
      }
      rounds.sort((a, b) => a - b);
      console.log(
        `SET, ${where}, ${size} a batch, ${history} changes remembered: ${rounds[2]!.toFixed(2)} µs ` +
          `(${rounds[0]!.toFixed(2)} … ${rounds[4]!.toFixed(2)})`,
      );
    }
  }
}

const begun = process.cpuUsage();
const bytes = [...machineBytes()];
const made = process.cpuUsage(begun);
Machine.restore(bytes);
const restored = process.cpuUsage(begun);
const total = bytes.reduce((sum, chunk) => sum + chunk.length, 0);
console.log(
  `snapshot: ${(total / 2 ** 20).toFixed(0)} MiB in ${ms(made)} ms, restored in ${(ms(restored) - ms(made)).toFixed(0)} ms`,
);

function* machineBytes(): Generator<Buffer> {
  const snapshot = machine.snapshot();
  try {
    yield* snapshot.chunks();
  } finally {
    snapshot.close();
  }
}

function batchOf(numbers: readonly number[]): Buffer {
  const items = new ItemWriter();
  for (const number of numbers) items.redis(['SET', keyOf(number), valueOf(number)], false);
  const batch = new BatchWriter();
  batch.add(items.take());
  sequence += 1;
  return batch.take({ origin: 1, boot: 1, sequence }, sequence);
}

function apply(to: Machine, batch: Buffer, wantsReplies: boolean): void {
  index += 1;
  to.apply(index, 1, batch, wantsReplies);
}

/** Every number below KEYS once, out of order. */
function scatter(number: number): number {
  return (number * 48_271) % KEYS;
}

function keyOf(number: number): string {
  return `key:${String(number).padStart(12, '0')}`;
}

function valueOf(number: number): string {
  return String(number).padEnd(VALUE_BYTES, 'x');
}

function heapUsed(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function ms({ user, system }: NodeJS.CpuUsage): number {
  return Math.round((user + system) / 1000);
}
