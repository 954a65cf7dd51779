// Preloaded into a server whose memory is measured (NODE_OPTIONS=--import=...): every thread collects its
// garbage when the process gets SIGUSR2, and the main thread prints the sum of what is left as one line.
// It does nothing until then. Threads find each other over a BroadcastChannel.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

type Message = { kind: 'here' } | { kind: 'collect' } | { kind: 'heap'; bytes: number };

// The DOM's type of the event is not loaded; only `data` is read, and only our own messages arrive.
const channel = new BroadcastChannel('reactor-net-bench-memory') as BroadcastChannel & { unref(): void };
channel.unref();
const send = (message: Message): void => channel.postMessage(message);

// A context made after the flag is set has the function; no command line is needed in any thread.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Two passes: the first runs finalizers, whose memory only the second sees. */
function heapBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (isMainThread) {
  let workers = 0;
  let answers: number[] = [];
  channel.onmessage = (event: unknown) => {
    const message = (event as { data: Message }).data;
    if (message.kind === 'here') workers += 1;
    if (message.kind !== 'heap') return;
    answers.push(message.bytes);
    if (answers.length === workers) print();
  };
  process.on('SIGUSR2', () => {
    answers = [];
    send({ kind: 'collect' });
    if (workers === 0) print();
  });
  const print = (): void => {
    const bytes = answers.reduce((sum, heap) => sum + heap, heapBytes());
    console.log(JSON.stringify({ event: 'memory', heap_bytes: bytes }));
  };
} else {
  channel.onmessage = (event: unknown) => {
    const message = (event as { data: Message }).data;
    if (message.kind === 'collect') send({ kind: 'heap', bytes: heapBytes() });
  };
  send({ kind: 'here' });
}
