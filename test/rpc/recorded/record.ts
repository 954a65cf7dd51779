// `node dist/test/rpc/recorded/record.js test/rpc/recorded/v1`: plays the conversations to a server of this version and
// writes down what both sides said, one file each. Files that are there already are never written again.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import path from 'node:path';

import { frameName, tlv, type WireFrame } from '../support/wire-frames.js';
import { MemoryServer } from '../support/memory-rpc.js';
import { type Conversation, CONVERSATIONS, FRAMES } from './conversations.js';

export interface RecordedFrame {
  readonly from: 'client' | 'server';
  readonly type: string;
  /** The whole TLV frame. */
  readonly hex: string;
}
export interface Recording {
  readonly title: string;
  readonly frames: readonly RecordedFrame[];
}

/** Turns of the loop that a handler of demo.Echo may take to answer. */
const TURNS = 5;

/** What both sides say, in order. */
export async function play({ client }: Conversation): Promise<RecordedFrame[]> {
  const server = new MemoryServer();
  const { link, session } = server.connect();
  const frames: RecordedFrame[] = [];
  for (const frame of client) {
    frames.push(recorded('client', frame));
    session.receive(frame.msgId, frame.body);
    for (let turn = 0; turn < TURNS; turn += 1) await nextTurn();
    frames.push(...link.take().map((sent) => recorded('server', sent)));
  }
  server.close();
  return frames;
}

export function recorded(from: 'client' | 'server', frame: WireFrame): RecordedFrame {
  return { from, type: frameName(frame.msgId), hex: tlv(frame).toString('hex') };
}

async function main(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const keep = (name: string, recording: Recording): void => {
    const file = path.join(folder, `${name}.json`);
    if (existsSync(file)) console.log(`${file} stays as it is`);
    else writeFileSync(file, `${JSON.stringify(recording, null, 2)}\n`);
  };
  for (const conversation of CONVERSATIONS) {
    keep(conversation.name, { title: conversation.title, frames: await play(conversation) });
  }
  for (const [name, from, frame] of FRAMES) {
    keep(`frame-${name}`, { title: `one frame: ${name}`, frames: [recorded(from, frame)] });
  }
}

const [, program, folder] = process.argv;
if (program !== undefined && import.meta.filename === program && folder !== undefined) await main(folder);
