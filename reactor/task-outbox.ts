// The sending half of a thread's task queue: records into the rings of other threads, large payloads into
// their links, a wake for whoever sleeps, and the answers that found a full ring.
// task-queue.ts decides what to send. A full ring refuses tasks; an answer is never refused, it waits here
// until the other thread has made room and says so.

import assert from 'node:assert/strict';
import type { MeshSeat } from './mesh-seat.js';
import type { Lane } from './peer-link.js';
import type { EncodedPayload } from './task-payload.js';
import { RECORD_PAYLOAD_BYTES_MAX } from './task-ring.js';

/** Set in a record's format when its payload went through the link: the record then holds where and how long. */
export const BIG_PAYLOAD_FLAG = 0x80;
export const BIG_NOTICE_BYTES = 8;

/** What a record asks for or answers. */
export const TASK_KIND = { post: 1, call: 2, result: 3, error: 4 } as const;

export interface OutgoingTask {
  /** One of TASK_KIND. */
  readonly kind: number;
  readonly incarnation: number;
  readonly callId: number;
  readonly name: Uint8Array;
  readonly payload: EncodedPayload;
}

/** `full`: try later. `lost`: the payload needs a link and no thread lives there. */
export type SendResult = 'sent' | 'full' | 'lost';

interface WaitingReply {
  readonly lane: Lane;
  /** The caller's incarnation. */
  readonly incarnation: number | null;
  readonly task: OutgoingTask;
}

export class TaskOutbox {
  readonly #seat: MeshSeat;
  readonly #requestTurn: () => void;
  readonly #bigBytesMax: number;
  readonly #repliesWaitingMax: number;
  /** Answers waiting for room, by the slot of the caller. */
  readonly #waiting: WaitingReply[][];
  #waitingCount: number = 0;
  #isClosed: boolean = false;
  wakesSent: number = 0;
  repliesDropped: number = 0;

  /**
   * `requestTurn` is called after a push to the own thread. `bigBytesMax` bounds what waits in one link
   * and lane, `repliesWaitingMax` the answers waiting for one thread: beyond it the oldest are dropped,
   * whose callers have long met their deadline.
   */
  constructor(seat: MeshSeat, requestTurn: () => void, bigBytesMax: number, repliesWaitingMax: number) {
    this.#seat = seat;
    this.#requestTurn = requestTurn;
    this.#bigBytesMax = bigBytesMax;
    this.#repliesWaitingMax = repliesWaitingMax;
    this.#waiting = Array.from({ length: seat.slotCount }, () => []);
  }

  get repliesWaiting(): number {
    return this.#waitingCount;
  }

  send(slot: number, lane: Lane, task: OutgoingTask): SendResult {
    const result =
      task.payload.bytes.length > RECORD_PAYLOAD_BYTES_MAX
        ? this.#sendBig(slot, lane, task)
        : this.#push(slot, lane, task, task.payload.format, task.payload.bytes);
    if (result === 'sent') this.#rouse(slot);
    return result;
  }

  /** Sends an answer now or as soon as there is room; `lost` only when the caller is. */
  reply(slot: number, lane: Lane, task: OutgoingTask): void {
    if (this.#isClosed) return; // the caller hears REACTOR_THREAD_LOST when this thread ends
    const waiting = this.#waiting[slot]!;
    if (waiting.length === 0 && this.send(slot, lane, task) !== 'full') return;
    waiting.push({ lane, incarnation: this.#seat.incarnationOf(slot), task: ownedCopy(task) });
    this.#waitingCount += 1;
    if (waiting.length > this.#repliesWaitingMax) {
      waiting.shift();
      this.#waitingCount -= 1;
      this.repliesDropped += 1;
    }
    this.#flushTo(slot);
  }

  /** Sends the waiting answers there is room for now. */
  flush(): void {
    if (this.#waitingCount === 0) return;
    for (let slot = 0; slot < this.#waiting.length; slot += 1) this.#flushTo(slot);
  }

  /**
   * Whether `flush` would get anywhere. Where not, the other thread is asked once more to say when there is
   * room: it may have answered with too little. To be asked after arming.
   */
  canFlush(): boolean {
    if (this.#waitingCount === 0) return false;
    return this.#waiting.some((waiting, slot) => {
      const first = waiting[0];
      if (first === undefined) return false;
      if (this.#hasRoom(slot, first)) return true;
      this.#seat.outgoing[slot]![first.lane].wantSpace();
      return this.#hasRoom(slot, first);
    });
  }

  /** Forgets the answers to every incarnation of `slot` but the one that lives, null for none. */
  forgetLost(slot: number, incarnation: number | null): void {
    const waiting = this.#waiting[slot]!;
    const kept = waiting.filter((reply) => reply.incarnation === incarnation && incarnation !== null);
    this.#waitingCount -= waiting.length - kept.length;
    this.#waiting[slot] = kept;
  }

  /** Sends no more answers, not even those that come late from tasks that are still at it. */
  close(): void {
    this.#isClosed = true;
  }

  #flushTo(slot: number): void {
    const waiting = this.#waiting[slot]!;
    let sent = 0;
    let asked = false;
    while (sent < waiting.length) {
      const { lane, task } = waiting[sent]!;
      if (this.send(slot, lane, task) !== 'full') {
        sent += 1;
        asked = false; // what was asked for may have been answered with the room just taken
        continue;
      }
      if (asked) break;
      this.#seat.outgoing[slot]![lane].wantSpace();
      asked = true; // the consumer may have made room just before it could know: once more
    }
    waiting.splice(0, sent);
    this.#waitingCount -= sent;
  }

  #sendBig(slot: number, lane: Lane, task: OutgoingTask): SendResult {
    const { format, bytes } = task.payload;
    const ring = this.#seat.outgoing[slot]![lane];
    if (!this.#seat.isLinkedTo(slot)) return 'lost';
    if (!this.#hasBigRoom(slot, lane, task)) return 'full';
    const notice = Buffer.alloc(BIG_NOTICE_BYTES);
    const sequence = ring.nextSequence();
    notice.writeInt32LE(sequence, 0);
    notice.writeUInt32LE(bytes.length, 4);
    this.#seat.sendBig(slot, lane, sequence, bytes);
    ring.addBigSent(bytes.length);
    const result = this.#push(slot, lane, task, format | BIG_PAYLOAD_FLAG, notice);
    assert(result === 'sent', 'room does not shrink under its only producer');
    return result;
  }

  #push(slot: number, lane: Lane, task: OutgoingTask, format: number, payload: Uint8Array): SendResult {
    const { kind, incarnation, callId, name } = task;
    const record = { kind, format, incarnation, callId, name, payload };
    return this.#seat.outgoing[slot]![lane].tryPush(record) ? 'sent' : 'full';
  }

  #rouse(slot: number): void {
    if (slot === this.#seat.slot) this.#requestTurn();
    else if (this.#seat.wake(slot)) this.wakesSent += 1;
  }

  #hasRoom(slot: number, { lane, task }: WaitingReply): boolean {
    const payloadBytes = task.payload.bytes.length;
    if (payloadBytes > RECORD_PAYLOAD_BYTES_MAX) return this.#hasBigRoom(slot, lane, task);
    return this.#seat.outgoing[slot]![lane].hasRoom(task.name.length, payloadBytes);
  }

  #hasBigRoom(slot: number, lane: Lane, task: OutgoingTask): boolean {
    const ring = this.#seat.outgoing[slot]![lane];
    if (ring.bigBytesWaiting + task.payload.bytes.length > this.#bigBytesMax) return false;
    return ring.hasRoom(task.name.length, BIG_NOTICE_BYTES);
  }
}

/** The payload may be the task's own memory, which it is free to change while the answer waits. */
function ownedCopy(task: OutgoingTask): OutgoingTask {
  const { format, bytes } = task.payload;
  return { ...task, payload: { format, bytes: new Uint8Array(bytes) } };
}
