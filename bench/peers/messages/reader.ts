// The reading end of one way to pass messages, in a process of its own: node reader.js WAY [what it needs to find the
// sender]. sender.ts starts it; it ends when the sender hangs up.

import { attachFromArguments } from '../../../addon/jbus/index.js';
import { readChannel } from './channel-ends.js';
import { readRing } from './ring-ends.js';
import { readStream } from './stream-ends.js';

const SPIN_MICROS = 100;

const [way = '', place] = process.argv.slice(2);
switch (way) {
  case 'channel':
  case 'channel-spin':
    await readChannel(await attachFromArguments({ spinMicros: way === 'channel' ? 0 : SPIN_MICROS }));
    break;
  case 'ring':
    await readRing(Number(place));
    break;
  case 'stream':
  case 'stream-pieces':
    await readStream(place === undefined ? null : Number(place), way === 'stream-pieces');
    break;
  default:
    throw new Error(`no way ${way}`);
}
