// A worker node whose renderers answer at once, or after a given time: node render-worker.js MAIN RENDERERS SLEEP_MS.

import { createLogger } from '../../reactor/index.js';
import { builtinRenderer, WorkerNode } from '../../render/index.js';

const STOP_MS = 2_000;

const [main = '', renderers = '', sleepMs = ''] = process.argv.slice(2);
const count = Number(renderers);
const node = await WorkerNode.start(
  await createLogger({ level: 'error' }),
  builtinRenderer({ instant: true, sleepMs: Number(sleepMs) }),
  { main, listen: { host: '127.0.0.1', port: 0 }, pool: { min: count, max: count } },
);
const stop = (): void => void node.close(STOP_MS).then(() => process.exit(0));
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
console.log(JSON.stringify({ event: 'ready', pid: process.pid, listen: {} }));
