// How large answers may get before they are refused: those of one command, and those of commands sent together.
// machine.ts measures with it. Only the member that answers does, so nothing here may decide over the state.

import {
  DoubleReply,
  ErrorReply,
  MapReply,
  PairsReply,
  type Reply,
  SetReply,
  StatusReply,
  VerbatimReply,
} from './reply.js';

/** Bytes of the answers to what one client sent together, where nothing else is asked for. */
export const REPLY_BYTES_MAX: number = 128 * 2 ** 20;

/** What each value costs in any protocol besides its bytes. */
const OVERHEAD_BYTES = 16;

/** About as many bytes as a reply has on the wire. */
export function replyBytes(reply: Reply): number {
  if (typeof reply === 'string' || reply instanceof Uint8Array) return reply.length + OVERHEAD_BYTES;
  if (typeof reply !== 'object' || reply === null) return OVERHEAD_BYTES;
  if (Array.isArray(reply)) return bytesOfAll(reply as readonly Reply[]);
  if (reply instanceof SetReply) return bytesOfAll(reply.items);
  if (reply instanceof MapReply || reply instanceof PairsReply) return bytesOfAll(reply.flat);
  if (reply instanceof StatusReply || reply instanceof ErrorReply || reply instanceof VerbatimReply)
    return reply.text.length + OVERHEAD_BYTES;
  return reply instanceof DoubleReply ? 2 * OVERHEAD_BYTES : OVERHEAD_BYTES;
}

function bytesOfAll(replies: readonly Reply[]): number {
  let bytes = OVERHEAD_BYTES;
  for (const reply of replies) bytes += replyBytes(reply);
  return bytes;
}

export class ReplyBudget {
  readonly #bytesMax: number;
  /** Nothing was executed. */
  readonly refusal: ErrorReply;
  readonly #executed: ErrorReply;
  #left: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#left = bytesMax;
    const text = `ERR the answer is too large, by itself or with those before it: the limit is ${bytesMax} bytes`;
    this.refusal = new ErrorReply(`${text}; ask for it in parts`);
    this.#executed = new ErrorReply(`${text}; the command was executed`);
  }

  /** What comes now was sent together. */
  begin(): void {
    this.#left = this.#bytesMax;
  }

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  /** The reply, or the words in its place where it is too large. */
  admit(reply: Reply, readsOnly: boolean): Reply {
    const bytes = replyBytes(reply);
    if (bytes <= this.#left) {
      this.#left -= bytes;
      return reply;
    }
    if (reply instanceof ErrorReply || bytes <= OVERHEAD_BYTES) return reply; // the words in its place are no shorter
    return readsOnly ? this.refusal : this.#executed;
  }
}
