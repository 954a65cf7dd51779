// What the two sides of a call have in common: messages out within their credit, messages in and their credit back.
// client-call.ts and server-stream.ts are such streams; session.ts owns them and has the connection's credit.
// A stream is also the timer of its own deadline, so that a call costs no further object.

import { gzipSync } from 'node:zlib';

import { TimerNode } from '../../reactor/index.js';
import type { EncodedMessage } from '../contract.js';
import { RpcError } from '../errors.js';
import { FRAME_HEAD_BYTES, FRAME_PAYLOAD_BYTES_MAX } from '../limits.js';
import { builder } from '../wire/frame-builder.js';
import { FLAG_COMPRESSED, FLAG_END, FLAG_MORE, FRAME } from '../wire/frame-types.js';
import { MessageAssembly } from './message-assembly.js';
import type { Session } from './session.js';

/** A part of a message is not sent for less than this, unless it is the last. */
const PART_BYTES_MIN = 1024;
const LENGTH_BYTES = 4;

interface Outbound {
  readonly bytes: Buffer;
  at: number;
  readonly flags: number;
  /** It has no length in front and so goes in one frame. */
  readonly isWhole: boolean;
}

export abstract class CallStream extends TimerNode {
  readonly id: number;
  readonly session: Session<CallStream>;
  #sendCredit: number;
  /** What the other side may still send, and what it will be told next. */
  #receiveCredit: number;
  #owed = 0;
  /** Cost of what came and was not given back to the connection yet. */
  #unreturned = 0;
  /** Credit of parts of an unfinished message, kept back while finished ones wait. */
  #withheld = 0;
  #outbound: Outbound | null = null;
  #whenSent: (() => void) | null = null;
  #assembly: MessageAssembly | null = null;

  constructor(session: Session<CallStream>, id: number) {
    super();
    this.session = session;
    this.id = id;
    this.#sendCredit = session.peerWindowBytes;
    this.#receiveCredit = session.options.streamWindowBytes;
  }

  /** The call is over on this side: nothing is sent or delivered any more. */
  abstract get isEnded(): boolean;
  /** A whole message has come; `bytes` is only lent. */
  protected abstract messageReceived(bytes: Buffer, cost: number): void;
  /** Finished messages wait to be read. */
  protected abstract get hasUnread(): boolean;
  /** The call cannot go on, though the connection can. */
  abstract fail(error: RpcError): void;

  // Sending.

  /**
   * Sends one message, or begins to. False when not all of it could go: wait for `sent()` before the next one.
   * @param flags FLAG_END: no further message follows
   * @throws RpcError RPC_MESSAGE_TOO_LARGE: the other side would not take it; nothing is sent
   */
  sendMessage(message: EncodedMessage, flags: number): boolean {
    const { session } = this;
    if (message.bytes > session.peerMessageBytesMax) {
      throw new RpcError(
        'RPC_MESSAGE_TOO_LARGE',
        `a message of ${message.bytes} bytes is above what the ${session.peerSide} receives, ${session.peerMessageBytesMax}`,
        { executed: 'no' },
      );
    }
    const cost = FRAME_HEAD_BYTES + message.bytes;
    const compresses = session.compresses(message.bytes);
    if (
      !compresses &&
      message.bytes <= FRAME_PAYLOAD_BYTES_MAX &&
      this.#outbound === null &&
      cost <= this.#sendCredit &&
      session.takeSendCredit(cost)
    ) {
      this.#sendCredit -= cost;
      session.sendBuilt(FRAME.DATA, builder.begin(flags & FLAG_END, this.id).message(message));
      return true;
    }
    this.#outbound = compresses ? compressed(message, flags) : plain(message, flags);
    this.pump();
    return this.#outbound === null;
  }

  /** Everything given to `sendMessage` has left. */
  get isSent(): boolean {
    return this.#outbound === null;
  }

  /** Resolves when everything given to `sendMessage` has left, or the call has ended. */
  sent(): Promise<void> {
    if (this.#outbound === null || this.isEnded) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenSent = resolve;
    });
  }

  /** Sends as much of what waits as credit and connection allow. */
  pump(): void {
    const outbound = this.#outbound;
    if (outbound === null) return;
    if (this.isEnded) {
      this.dropOutbound();
      return;
    }
    const { session } = this;
    const { bytes } = outbound;
    do {
      const left = bytes.length - outbound.at;
      const wanted = Math.min(left, FRAME_PAYLOAD_BYTES_MAX);
      const credit = Math.min(this.#sendCredit, session.sendCredit) - FRAME_HEAD_BYTES;
      const part = Math.min(wanted, credit);
      const partMin = outbound.isWhole ? wanted : Math.min(wanted, PART_BYTES_MIN);
      if (part < partMin || !session.takeSendCredit(FRAME_HEAD_BYTES + part)) {
        session.waitForCredit(this);
        return;
      }
      this.#sendCredit -= FRAME_HEAD_BYTES + part;
      const isLast = part === left;
      const flags = isLast ? outbound.flags : (outbound.flags & FLAG_COMPRESSED) | FLAG_MORE;
      const piece = bytes.subarray(outbound.at, outbound.at + part);
      session.sendBuilt(FRAME.DATA, builder.begin(flags, this.id).bytes(piece));
      outbound.at += part;
    } while (outbound.at < bytes.length);
    this.dropOutbound();
  }

  /** The other side gave credit for `bytes` more. @throws RpcError RPC_PROTOCOL */
  creditGranted(bytes: number): void {
    this.#sendCredit += bytes;
    if (this.#sendCredit > 2 ** 31)
      throw new RpcError('RPC_PROTOCOL', `stream ${this.id} was given too much credit`);
    this.pump();
  }

  /** Forgets what was not sent and lets who waits for it go on. */
  dropOutbound(): void {
    this.#outbound = null;
    const whenSent = this.#whenSent;
    this.#whenSent = null;
    whenSent?.();
  }

  // Receiving.

  /**
   * One DATA frame of this stream; its cost is taken from the connection's credit already.
   * @throws RpcError RPC_PROTOCOL: the connection is lost; others: the call is
   */
  dataReceived(flags: number, body: Buffer): void {
    const cost = body.length;
    this.#receiveCredit -= cost;
    this.#unreturned += cost;
    if (this.#receiveCredit < 0)
      throw new RpcError('RPC_PROTOCOL', `stream ${this.id} was sent more than its window`);
    const { session } = this;
    this.#assembly ??= new MessageAssembly(session.options.messageBytesMax, session.side);
    const message = this.#assembly.add(flags, body.subarray(FRAME_HEAD_BYTES));
    if (message !== null) {
      const withheld = this.#withheld;
      this.#withheld = 0;
      this.messageReceived(message, cost + withheld);
      return;
    }
    this.#withheld += cost;
    if (!this.hasUnread) this.#releaseWithheld();
  }

  get isInsideMessage(): boolean {
    return this.#assembly?.isUnderWay === true;
  }

  /** The reader took a message of that cost: the other side may send as much again. */
  messageTaken(cost: number): void {
    this.#giveCredit(cost);
    if (this.#withheld > 0 && !this.hasUnread) this.#releaseWithheld();
  }

  /** The call has ended: what it holds of the connection's credit is given back, read or not. */
  protected releaseCredit(): void {
    const cost = this.#unreturned;
    this.#unreturned = 0;
    if (cost > 0) this.session.giveCredit(cost);
  }

  #releaseWithheld(): void {
    const cost = this.#withheld;
    this.#withheld = 0;
    this.#giveCredit(cost);
  }

  #giveCredit(cost: number): void {
    if (cost === 0 || this.isEnded) return;
    this.#unreturned -= cost;
    this.session.giveCredit(cost);
    this.#owed += cost;
    if (this.#owed * 2 < this.session.options.streamWindowBytes) return;
    this.#receiveCredit += this.#owed;
    this.session.sendWindow(this.id, this.#owed);
    this.#owed = 0;
  }
}

function plain(message: EncodedMessage, flags: number): Outbound {
  const isLong = message.bytes > FRAME_PAYLOAD_BYTES_MAX;
  // A message that may go in parts has its length in front; one that needs no parts must go whole.
  const bytes = Buffer.allocUnsafe(message.bytes + LENGTH_BYTES);
  bytes.writeUInt32LE(message.bytes, 0);
  message.writeTo(bytes, LENGTH_BYTES);
  return {
    bytes: isLong ? bytes : bytes.subarray(LENGTH_BYTES),
    at: 0,
    flags: flags & FLAG_END,
    isWhole: !isLong,
  };
}

function compressed(message: EncodedMessage, flags: number): Outbound {
  const raw = Buffer.allocUnsafe(message.bytes);
  message.writeTo(raw, 0);
  const packed = gzipSync(raw, { level: 1 });
  const size = Buffer.allocUnsafe(2 * LENGTH_BYTES);
  size.writeUInt32LE(LENGTH_BYTES + packed.length, 0);
  size.writeUInt32LE(raw.length, LENGTH_BYTES);
  const bytes = Buffer.concat([size, packed]);
  const isLong = bytes.length - LENGTH_BYTES > FRAME_PAYLOAD_BYTES_MAX;
  return {
    bytes: isLong ? bytes : bytes.subarray(LENGTH_BYTES),
    at: 0,
    flags: (flags & FLAG_END) | FLAG_COMPRESSED,
    isWhole: !isLong,
  };
}
