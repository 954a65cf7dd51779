// An owner that starts a child and talks with it: it is there to be killed. Its child reports what became of it.
// Prints one line of JSON once the child has joined.

import { fileURLToPath } from 'node:url';

import { PeerProcess } from '../../../addon/jbus/index.js';
import { talk } from './talk.js';
import { talkArguments, talkOptions } from './talk-options.js';

const options = talkOptions(process.argv.slice(2));
const peerFile = fileURLToPath(new URL('talk-peer.js', import.meta.url));
const { JBUS_STOP_AT_STEP: _, ...env } = process.env; // it is for this process alone
const peer = await PeerProcess.start({
  command: process.execPath,
  args: [peerFile, ...talkArguments(options)],
  env,
  capacityOut: 65_536,
  capacityIn: 65_536,
  heartbeatMs: 60_000, // the doorbell alone has to tell
  joinTimeoutMs: 60_000,
});
console.log(JSON.stringify({ joined: peer.pid }));
await talk(peer.channel, { ...options, seed: options.seed + 1 });
await peer.close();
