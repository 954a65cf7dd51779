// A thread with nothing but an event loop, and the tasks that the tests ask of it.
import { workerData } from 'node:worker_threads';
import { ReactorError } from '../../reactor/errors.js';
import { EventLoop } from '../../reactor/event-loop.js';
import { systemClock } from '../../reactor/loop-timers.js';
import { MeshSeat, type MeshSeatData, type ThreadIndex } from '../../reactor/mesh-seat.js';
import { WorkerPool } from '../../reactor/worker-pool.js';
import { testPool } from './loop-threads.js';

const errors: string[] = [];
const { mesh, gate, log } = workerData as { mesh: MeshSeatData; gate: Int32Array; log: Int32Array };
const seat = MeshSeat.join(mesh);
const onTaskError = (error: ReactorError): void => void errors.push(error.code);
const loop = new EventLoop(seat, testPool(), systemClock, { onTaskError });
const seen: unknown[] = [];
loop.ref();

loop.register('echo', (payload) => payload);
loop.register('from', (_payload, from) => from);
loop.register('throw', () => {
  throw Object.assign(new Error('no such thing'), { code: 'ENOENT' });
});
loop.register('throw-reactor', () => {
  throw new ReactorError('REACTOR_POOL_EXHAUSTED', 'no buffers');
});
loop.register('reject', () => Promise.reject(new Error('later')));
loop.register('slowly', () => new Promise((resolve) => loop.runAfter(1, () => resolve('done'))));
loop.register('never', () => new Promise(() => {}));
loop.register('uncloneable', () => () => {});
loop.register('errors', () => errors);
loop.register('stats', () => loop.stats);
loop.register('note', (payload) => void seen.push(payload));
loop.register('seen', () => seen.splice(0));
loop.register('bytes', (count) => Buffer.alloc(count as number, 7));
loop.register('call-on', async (payload) => {
  const { thread, name, argument } = payload as { thread: ThreadIndex; name: string; argument: unknown };
  return loop.call(thread, name, argument);
});
loop.register('post-on', (payload) => {
  const { thread, name, from, count } = payload as {
    thread: ThreadIndex;
    name: string;
    from: number;
    count: number;
  };
  for (let number = from; number < from + count; number += 1) loop.post(thread, name, number);
});
loop.register('broadcast', (payload) => loop.broadcast('note', payload));
// Pushes numbers to main for ever, some of them with a payload beside the ring.
loop.register('flood', (first) => {
  let next = first as number;
  const more = (): void => {
    try {
      for (;;) {
        loop.post('main', 'numbered', {
          number: next,
          filler: 'x'.repeat(next % 10 === 0 ? 5000 : next % 100),
        });
        next += 1;
      }
    } catch (error) {
      if (!(error instanceof ReactorError) || error.code !== 'REACTOR_QUEUE_FULL') throw error;
      setImmediate(more);
    }
  };
  more();
});
loop.register('pool', async (value) => {
  const module = new URL('../reactor/fixtures/pool-functions.js', import.meta.url);
  const pool = new WorkerPool({ module, threadsMax: 1, execArgv: [] });
  const result = await pool.submit('double', value);
  await pool.close();
  return result;
});
loop.register('log', (payload) => {
  log[1 + log[0]!] = payload as number;
  Atomics.add(log, 0, 1);
});
// Stops the whole thread until the test opens the gate.
loop.register('block', () => {
  Atomics.add(gate, 1, 1);
  Atomics.wait(gate, 0, 0);
});
