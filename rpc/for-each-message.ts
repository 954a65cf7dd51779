// Reads a stream by a callback: each message is handled in the turn in which it came, without a promise of its own.

import type { Messages } from './call.js';
import { InboundQueue } from './session/inbound-queue.js';

/**
 * Calls `onMessage` with every message of `messages`: a stream of answers, or the requests a handler is given. Credit goes
 * back when `onMessage` returns, so what it cannot handle at once it has to bound itself. Resolves at the end; rejects with
 * what ended the stream, or with what `onMessage` threw, which leaves the stream as a loop would.
 */
export async function forEachMessage<T>(
  messages: Messages<T>,
  onMessage: (message: T) => void,
): Promise<void> {
  if (messages instanceof Object && Symbol.asyncIterator in messages) {
    const iterator = messages[Symbol.asyncIterator]();
    if (iterator instanceof InboundQueue) {
      await (iterator as InboundQueue<T>).readBy(onMessage);
      return;
    }
    for await (const message of { [Symbol.asyncIterator]: () => iterator }) onMessage(message);
    return;
  }
  for (const message of messages) onMessage(message);
}
