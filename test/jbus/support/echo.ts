// Children that echo, and talking to them.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import { type Channel, PYTHON_PEER } from '../../../addon/jbus/index.js';
import { patternBytes } from './rings.js';

/** The compiled echo-peer.ts, for `node`. */
export const ECHO_PEER: string = fileURLToPath(new URL('echo-peer.js', import.meta.url));

/** Command and arguments of a child that sends every message back; the channel's flags follow. */
export const NODE_ECHO: { command: string; args: string[] } = {
  command: process.execPath,
  args: [ECHO_PEER],
};
export const PYTHON_ECHO: { command: string; args: string[] } = {
  command: 'python3',
  args: [fileURLToPath(PYTHON_PEER), 'echo'],
};

const SIZES = [0, 1, 63, 1000, 20_000, 200_000];

/** Sends messages of many sizes and reads them back, several on their way at a time. */
export async function converse(channel: Channel, count: number): Promise<void> {
  const send = async (): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      const data = patternBytes(index, SIZES[index % SIZES.length]!);
      await channel.writeAsync(data, { type: 7, msgId: index, timeoutMs: 20_000 });
    }
  };
  const receive = async (): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      const message = await channel.readAsync({ timeoutMs: 20_000 });
      assert.equal(message.msgId, index);
      const expected = patternBytes(index, SIZES[index % SIZES.length]!);
      assert(Buffer.compare(message.data, expected) === 0, `message ${index} came back whole`);
    }
  };
  await Promise.all([send(), receive()]);
}
