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
import type { Gatherer } from './gather-budget.js';
import { MessageAssembly, messageTooLarge, unpack } from './message-assembly.js';
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

export abstract class CallStream extends TimerNode implements Gatherer {
  readonly id: number;
  readonly session: Session<CallStream>;
  #sendCredit: number;
  /** What the other side may still send, and what it will be told next. */
  #receiveCredit: number;
  #owed = 0;
  /** Cost of what came and was not given back to the connection yet. */
  #unreturned = 0;
  /** Credit of parts of an unfinished message, kept back while finished ones wait or the connection holds too many. */
  #withheld = 0;
  /** How much of that the connection has back already. */
  #withheldHere = 0;
  /** Bytes of the unfinished message. */
  #gathered = 0;
  /** The connection holds so much of unfinished messages that this one has to wait. */
  #mayGather = true;
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
  /** A whole message has come; `bytes` is only lent. @throws RpcError */
  protected abstract messageReceived(bytes: Buffer, cost: number): void;
  /** A whole message has come that is compressed; `unpack` gives its bytes or throws RPC_MESSAGE_INVALID. */
  protected abstract packedReceived(unpack: () => Buffer, cost: number): void;
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
        { executed: session.side === 'client' ? 'no' : 'unknown' },
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
    if (this.#outbound !== null) this.session.stopWaiting(this);
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
    if (message === null) {
      this.#gathered += cost;
      this.#withheld += cost;
      this.#mayGather = session.gathering.gathered(this, cost);
      if (this.#mayReleaseWithheld) {
        this.#releaseWithheld();
      } else if (!this.#mayGather) {
        // Only this stream waits: the credit of the connection is for those that may finish.
        this.#withheldHere += cost;
        this.#giveConnectionCredit(cost);
      }
      return;
    }
    const withheld = this.#withheld - this.#withheldHere;
    this.#withheld = 0;
    if (this.#withheldHere > 0) {
      this.#giveStreamCredit(this.#withheldHere);
      this.#withheldHere = 0;
    }
    if (this.#gathered > 0) this.#stopGathering();
    if (!this.#assembly.isCompressed) {
      this.messageReceived(message, cost + withheld);
      return;
    }
    const packed = message.buffer === body.buffer ? Buffer.from(message) : message; // what was gathered is ours
    this.packedReceived(() => unpack(packed), cost + withheld);
  }

  /** A message inside of the frame that opens or ends the call is judged like any other. @throws RpcError */
  protected judgeInline(message: Buffer): void {
    const { messageBytesMax } = this.session.options;
    if (message.length > messageBytesMax)
      throw messageTooLarge(message.length, this.session.side, messageBytesMax);
  }

  /** Gatherer. */
  goOnGathering(): void {
    this.#mayGather = true;
    if (this.#mayReleaseWithheld) this.#releaseWithheld();
  }

  get #mayReleaseWithheld(): boolean {
    return this.#withheld > 0 && this.#mayGather && !this.hasUnread;
  }

  #stopGathering(): void {
    const gathered = this.#gathered;
    this.#gathered = 0;
    this.#mayGather = true;
    this.session.gathering.finished(this, gathered);
  }

  get isInsideMessage(): boolean {
    return this.#assembly?.isUnderWay === true;
  }

  /** The reader took a message of that cost: the other side may send as much again. */
  messageTaken(cost: number): void {
    this.#giveCredit(cost);
    if (this.#mayReleaseWithheld) this.#releaseWithheld();
  }

  /** The call has ended: what it holds of the connection's credit is given back, read or not. */
  protected releaseCredit(): void {
    if (this.#gathered > 0) this.#stopGathering();
    this.#assembly = null;
    const cost = this.#unreturned;
    this.#unreturned = 0;
    if (cost > 0) this.session.giveCredit(cost);
  }

  #releaseWithheld(): void {
    const cost = this.#withheld;
    const forConnection = cost - this.#withheldHere;
    this.#withheld = 0;
    this.#withheldHere = 0;
    if (this.isEnded) return;
    if (forConnection > 0) this.#giveConnectionCredit(forConnection);
    this.#giveStreamCredit(cost);
  }

  #giveCredit(cost: number): void {
    if (cost === 0 || this.isEnded) return;
    this.#giveConnectionCredit(cost);
    this.#giveStreamCredit(cost);
  }

  #giveConnectionCredit(cost: number): void {
    this.#unreturned -= cost;
    this.session.giveCredit(cost);
  }

  #giveStreamCredit(cost: number): void {
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
