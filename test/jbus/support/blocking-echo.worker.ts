// A thread that blocks on a channel: sends every message back until the channel ends, and tells how that was.

import { parentPort, workerData } from 'node:worker_threads';

import { attachChannel, type ChannelAddress, JbusError } from '../../../addon/jbus/index.js';

const { address, spinMicros } = workerData as { address: ChannelAddress; spinMicros: number };
const channel = await attachChannel(address, { spinMicros });
let echoed = 0;
let end = '';
while (end === '') {
  try {
    const { type, msgId, data } = channel.read({ timeoutMs: 20_000 });
    channel.write(data, { type, msgId, timeoutMs: 20_000 });
    echoed += 1;
  } catch (error) {
    end = error instanceof JbusError ? error.code : String(error);
  }
}
channel.close();
parentPort!.postMessage({ echoed, end });
