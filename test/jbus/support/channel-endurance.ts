// What a channel between two Node processes has to bear: many messages both ways, messages far larger than the ring, and
// naps at the worst moments. The suite runs it in small, `npm run soak:jbus` at full size.

import assert from 'node:assert/strict';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';

import { type CreateChannelOptions, PeerProcess } from '../../../addon/jbus/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { until } from '../../support/until.js';
import { dawdle, talk, type TalkOptions } from './talk.js';
import { talkArguments } from './talk-options.js';

type LinkChoice = Pick<CreateChannelOptions, 'backing' | 'capacityOut' | 'capacityIn' | 'crc'>;

const MINUTE_MS = 60_000;
const DAWDLE_MICROS = 60;

/** Both ends write `count` messages and check as many. Fails if one is lost, torn, repeated or out of order. */
export async function exchangeWithNode(options: TalkOptions, link: LinkChoice): Promise<void> {
  const peer = await PeerProcess.start({
    ...link,
    command: process.execPath,
    args: [peerFile('talk-peer'), ...talkArguments(options)],
    output: 'ignore',
  });
  try {
    const result = await talk(peer.channel, { ...options, seed: options.seed + 1 });
    assert.deepEqual(
      { written: result.written, read: result.read },
      { written: options.count, read: options.count },
    );
    // A child that found a wrong message would have died of it.
    await until(() => peer.channel.ended !== undefined);
    assert.equal(peer.channel.ended?.code, 'JBUS_CLOSED');
  } finally {
    await peer.close();
  }
}

/** One message of `bytes` bytes; the child answers with its checksum. */
export async function passLargeMessage(bytes: number, link: LinkChoice): Promise<void> {
  const peer = await PeerProcess.start({
    ...link,
    messageBytesMax: 2 ** 32 - 1,
    command: process.execPath,
    args: [peerFile('digest-peer')],
  });
  try {
    const message = Buffer.alloc(bytes);
    for (let at = 0; at + 4 <= bytes; at += 4096) message.writeUInt32LE(at / 4096, at);
    const [, answer] = await Promise.all([
      peer.channel.writeAsync(message, { timeoutMs: 10 * MINUTE_MS }),
      peer.channel.readAsync({ timeoutMs: 10 * MINUTE_MS }),
    ]);
    assert.equal(answer.data.readUInt32LE(), crc32(message));
  } finally {
    await peer.close();
  }
}

export interface NapReport {
  readonly rounds: number;
  /** Answers that a timer found, since no ring had told of them. */
  readonly foundByPolling: number;
}

/** Question and answer, each side late by chance wherever it may be asleep, about to sleep, or about to be woken. */
export async function pingWithNaps(rounds: number, seed: number, link: LinkChoice): Promise<NapReport> {
  const random = new SeededRandom(seed);
  const peer = await PeerProcess.start({
    ...link,
    command: process.execPath,
    args: [peerFile('digest-peer'), String(DAWDLE_MICROS)],
  });
  try {
    const question = Buffer.alloc(8);
    for (let round = 0; round < rounds; round += 1) {
      question.writeUInt32LE(round);
      await peer.channel.writeAsync(question, { msgId: round });
      if (random.chance(0.3)) dawdle(random.integer(0, DAWDLE_MICROS));
      if (random.chance(0.1)) await nextTurn();
      if (random.chance(0.002)) await sleep(1);
      const { msgId, data } = await peer.channel.readAsync();
      assert.deepEqual([msgId, data.readUInt32LE()], [round, crc32(question)]);
    }
    return { rounds, foundByPolling: peer.channel.stats().foundByPolling };
  } finally {
    await peer.close();
  }
}

function peerFile(name: string): string {
  return fileURLToPath(new URL(`${name}.js`, import.meta.url));
}
