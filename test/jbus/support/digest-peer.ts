// A child that answers every message with its CRC-32, and dawdles before some answers: its argument is how long at most,
// in µs. A wake-up that is lost shows as an answer that takes as long as the safety poll.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

import { attachFromArguments, JbusError, parsePeerArguments } from '../../../addon/jbus/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { dawdle } from './talk.js';

const dawdleMicros = Number(parsePeerArguments(process.argv.slice(2)).rest[0] ?? 0);
const random = new SeededRandom(process.pid);
const channel = await attachFromArguments({ messageBytesMax: 2 ** 32 - 1 });
const answer = Buffer.alloc(4);
try {
  for await (const { msgId, data } of channel) {
    dawdle(random.integer(0, dawdleMicros));
    if (random.chance(0.1)) await nextTurn();
    answer.writeUInt32LE(crc32(data));
    await channel.writeAsync(answer, { msgId });
  }
} catch (error) {
  if (!(error instanceof JbusError && error.code === 'JBUS_PEER_DEAD')) throw error;
}
channel.close();
