// The ordered store beside sorted-btree and Map: `node --expose-gc dist/bench/kv/skip-list.js [keys] [rounds]`, some 10 s on a
// busy machine. The suite kv judges what its last line says; the figures in docs/kv-storage.md say where they come from.
// Subjects take turns, round by round; printed is CPU time, so that a busy machine falsifies little: the median of the
// rounds and the range they spread over.

import { cpus } from 'node:os';
import { SkipList } from '../../kv/index.js';

const COUNT = Number(process.argv[2] ?? 100_000);
const ROUNDS = Number(process.argv[3] ?? 3);

interface PlainMap {
  get(key: string): unknown;
  set(key: string, value: number): unknown;
}
interface OrderedMap extends PlainMap {
  /** Walks everything in order; null where there is no order. */
  sum: (() => number) | null;
}
type BTree = PlainMap & { forEachPair(visit: (key: string, value: number) => void): number };
type BTreeClass = new (entries: undefined, compare: (a: string, b: string) => number) => BTree;

const btree = await loadBTree();
const SUBJECTS: Record<string, () => OrderedMap> = {
  'skip list': () => {
    const list = new SkipList<number>(random(1));
    return Object.assign(list, { sum: () => sumOf(list) });
  },
  ...(btree === null ? {} : { 'sorted-btree': () => withSum(new btree(undefined, compare)) }),
  Map: () => Object.assign(new Map<string, number>(), { sum: null }),
};

const ordered = Array.from({ length: COUNT }, (_, number) => keyOf(number));
const shuffled = shuffle([...ordered], random(2));
// Strings of their own, as they come off a socket: not the objects that the maps hold.
const probes = shuffle(
  ordered.map((_, number) => keyOf(number)),
  random(3),
);

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${COUNT} keys of ${keyOf(0).length} bytes`,
);
if (btree === null) console.log('sorted-btree is missing: npm ci');
const samples = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, make] of Object.entries(SUBJECTS)) {
    const inOrder = make();
    note(name, 'insert, ascending', () => fill(inOrder, ordered));
    const map = make();
    note(name, 'insert, random', () => fill(map, shuffled));
    note(name, 'get, random', () => probe(map));
    note(name, 'replace, random', () => fill(map, probes));
    if (map.sum !== null) note(name, 'scan all', map.sum);
  }
}
for (const [what, inOrder] of samples) {
  const times = inOrder.toSorted((a, b) => a - b);
  const [low, median, high] = [times[0]!, times[times.length >> 1]!, times.at(-1)!];
  console.log(`${what.padEnd(34)} ${format(median)} ns/key  (${format(low)} – ${format(high)})`);
}
const overheads = memoryAndSnapshot();
keyForms();
// For the suite: nanoseconds per key, round by round, and bytes per key.
console.log(JSON.stringify({ event: 'result', samples: Object.fromEntries(samples), overheads }));

function note(name: string, what: string, run: () => unknown): void {
  const started = process.cpuUsage();
  run();
  const nanoseconds = cpuNanosSince(started) / COUNT;
  const key = `${what}: ${name}`;
  samples.set(key, [...(samples.get(key) ?? []), nanoseconds]);
}

function fill(map: PlainMap, keys: readonly string[]): void {
  for (let index = 0; index < keys.length; index += 1) map.set(keys[index]!, index);
}

function probe(map: PlainMap): number {
  let found = 0;
  for (const key of probes) if (map.get(key) !== undefined) found += 1;
  if (found !== COUNT) throw new Error(`${found} of ${COUNT} keys found`);
  return found;
}

function sumOf(list: SkipList<number>): number {
  let sum = 0;
  list.visit((_, value) => {
    sum += value;
  });
  return sum;
}

function withSum(tree: BTree): OrderedMap {
  return Object.assign(tree, {
    sum: () => {
      let sum = 0;
      tree.forEachPair((_, value) => {
        sum += value;
      });
      return sum;
    },
  });
}

/** Heap per key beyond the keys themselves (they exist before), and what a snapshot costs. */
function memoryAndSnapshot(): number[] {
  const measuredBytes: number[] = [];
  for (const [order, keys] of [
    ['ascending', ordered],
    ['random', shuffled],
  ] as const) {
    globalThis.gc?.();
    const before = bytesInUse();
    const list = new SkipList<number>(random(1));
    fill(list, keys);
    globalThis.gc?.();
    const measured = globalThis.gc === undefined ? null : (bytesInUse() - before) / COUNT;
    const counted = list.memory().overheadBytes / COUNT;
    if (measured !== null) measuredBytes.push(measured);
    console.log(
      `overhead, ${order}: ${measured?.toFixed(1) ?? '(needs --expose-gc)'} B/key, by memory() ${counted.toFixed(1)}`,
    );
    const started = process.cpuUsage();
    const view = list.snapshot();
    const micros = cpuNanosSince(started) / 1000;
    const writes = process.cpuUsage();
    fill(list, probes);
    const nanos = cpuNanosSince(writes) / COUNT;
    console.log(
      `snapshot: ${micros.toFixed(0)} µs; first replace of every key after it ${nanos.toFixed(0)} ns`,
    );
    view.close();
  }
  return measuredBytes;
}

/** Why keys are strings: comparing neighbours in a sorted array, as latin1 strings and as Uint8Arrays. */
function keyForms(): void {
  const bytes = ordered.map((key) => Buffer.from(key, 'latin1'));
  let started = process.cpuUsage();
  let less = 0;
  for (let index = 1; index < COUNT; index += 1) if (ordered[index - 1]! < ordered[index]!) less += 1;
  const strings = cpuNanosSince(started) / COUNT;
  started = process.cpuUsage();
  for (let index = 1; index < COUNT; index += 1)
    if (Buffer.compare(bytes[index - 1]!, bytes[index]!) < 0) less += 1;
  const buffers = cpuNanosSince(started) / COUNT;
  console.log(`compare: strings ${format(strings)} ns, Buffer.compare ${format(buffers)} ns (${less})`);
}

function cpuNanosSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return (user + system) * 1000;
}

function bytesInUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function loadBTree(): Promise<BTreeClass | null> {
  try {
    // By a name that the compiler does not follow: a checkout without it still builds.
    const name: string = 'sorted-btree';
    const loaded = (await import(name)) as { default: { default: BTreeClass } };
    return loaded.default.default;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

function compare(a: string, b: string): number {
  if (a < b) return -1;
  return a === b ? 0 : 1;
}

function keyOf(number: number): string {
  return Buffer.from(`user:${String(number).padStart(11, '0')}`, 'latin1').toString('latin1');
}

function shuffle(items: string[], random: () => number): string[] {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

function format(nanoseconds: number): string {
  return nanoseconds.toFixed(nanoseconds < 10 ? 1 : 0).padStart(5);
}
