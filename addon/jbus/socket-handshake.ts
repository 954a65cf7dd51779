// How the two ends of a stream find that they mean the same channel, before any record.
// The owner greets and waits for the answer; the peer checks the greeting and answers with the same.

import type { Socket } from 'node:net';

import { JbusError } from './errors.js';
import { channelHash } from './keys.js';
import { decodeGreeting, encodeGreeting, type Greeting, GREETING_BYTES } from './socket-wire.js';

const GREETING_TIMEOUT_MS = 5000;

/** @throws JbusError (as rejection) JBUS_NO_SEGMENT: no answer in time; JBUS_NOT_OURS, JBUS_VERSION, JBUS_EPOCH. */
export async function greetAsOwner(stream: Socket, greeting: Greeting): Promise<void> {
  stream.write(encodeGreeting(greeting));
  const answer = decodeGreeting(await readGreeting(stream));
  checkEpoch(answer, greeting.epoch);
}

/** @throws JbusError (as rejection) as greetAsOwner, and JBUS_OTHER_CHANNEL. */
export async function answerAsPeer(stream: Socket, name: string, epoch?: number): Promise<Greeting> {
  const greeting = decodeGreeting(await readGreeting(stream));
  if (greeting.channelHash !== channelHash(name)) {
    throw new JbusError('JBUS_OTHER_CHANNEL', `the stream belongs to another channel than '${name}'`);
  }
  if (epoch !== undefined) checkEpoch(greeting, epoch);
  stream.write(encodeGreeting({ ...greeting, pid: process.pid }));
  return greeting;
}

function checkEpoch(found: Greeting, epoch: number): void {
  if (found.epoch === epoch) return;
  throw new JbusError('JBUS_EPOCH', `the stream has epoch ${found.epoch}, not ${epoch}`);
}

/** The first GREETING_BYTES of the stream; the rest stays in it. */
async function readGreeting(stream: Socket): Promise<Buffer> {
  return await new Promise<Buffer>((resolve, reject) => {
    const settle = (bytes: Buffer | undefined): void => {
      clearTimeout(timer);
      stream.off('readable', onReadable).off('close', onEnd).off('end', onEnd);
      if (bytes === undefined) reject(new JbusError('JBUS_NO_SEGMENT', 'nobody greeted on this stream'));
      else resolve(bytes);
    };
    const onReadable = (): void => {
      const bytes = stream.read(GREETING_BYTES) as Buffer | null;
      if (bytes !== null) settle(bytes);
    };
    const onEnd = (): void => settle(undefined);
    const timer = setTimeout(onEnd, GREETING_TIMEOUT_MS);
    stream.on('readable', onReadable).on('close', onEnd).on('end', onEnd);
    onReadable();
  });
}
