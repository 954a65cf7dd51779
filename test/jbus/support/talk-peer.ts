// A child that talks over its channel as its arguments say, and reports the result as one line of JSON.

import { attachFromArguments, parsePeerArguments } from '../../../addon/jbus/index.js';
import { machineMs, talk } from './talk.js';
import { talkOptions } from './talk-options.js';

const channel = await attachFromArguments({ messageBytesMax: 2 ** 32 - 1, heartbeatMs: 60_000 });
let downMs = 0;
channel.onPeerDown(() => {
  downMs = machineMs();
});
const result = await talk(channel, talkOptions(parsePeerArguments(process.argv.slice(2)).rest));
console.log(JSON.stringify({ ...result, downMs }));
channel.close();
