// A child that sends every message back with its type and id, until the channel ends.

import { attachFromArguments, JbusError } from '../../../addon/jbus/index.js';

const channel = await attachFromArguments({ messageBytesMax: 2 ** 31, writeTimeoutMs: 60_000 });
try {
  for await (const { type, msgId, data } of channel) await channel.writeAsync(data, { type, msgId });
} catch (error) {
  // The other side may close while an answer is on its way.
  if (!(error instanceof JbusError && ['JBUS_CLOSED', 'JBUS_PEER_DEAD'].includes(error.code))) throw error;
}
channel.close();
