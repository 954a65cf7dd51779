// A thread that blocks in vain: what each blocking call says when nothing comes, or others wait already.

import { parentPort, workerData } from 'node:worker_threads';

import { attachChannel, type ChannelAddress, JbusError } from '../../../addon/jbus/index.js';

const channel = await attachChannel(workerData as ChannelAddress);

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'done';
  } catch (error) {
    return error instanceof JbusError ? error.code : String(error);
  }
}

const startedMs = performance.now();
const seen = [codeOf(() => channel.read({ timeoutMs: 120 }))];
const waitedMs = performance.now() - startedMs;
while (channel.tryWrite(new Uint8Array(1000)));
seen.push(codeOf(() => channel.write(new Uint8Array(1000), { timeoutMs: 60 })));
const pending = channel.readAsync({ timeoutMs: 30 });
seen.push(codeOf(() => channel.read({ timeoutMs: 60 })));
await pending.catch(() => {});
// A message that needs the peer to read, which it does not.
seen.push(codeOf(() => channel.write(new Uint8Array(20_000), { timeoutMs: 60 })));
channel.close();
seen.push(codeOf(() => channel.read()));
parentPort!.postMessage({ seen, waitedMs });
