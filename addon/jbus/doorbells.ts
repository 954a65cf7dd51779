// The doorbells between processes: over a stream that both have, behind a name that one waits at, or none.
// Links give them to channels. A byte carries nothing; the end of the stream tells that the peer is gone, however it
// ended. Names are abstract Unix sockets: they vanish with their process.

import { BELL_CALLER, BELL_GONE, BELL_RUNG, type NativeDoorbell } from '../index.js';
import { JbusError, native } from './errors.js';
import type { Doorbell } from './link.js';
import { shmAddon } from './native.js';

/** Makes up for a ring that was lost; none should be. */
const SAFETY_POLL_MS = 50;
/** Nobody rings: the price of having no doorbell is a timer, and this latency. */
const BARE_POLL_MS = 2;
const BACKLOG = 4;
const HOLD_MS = 2 ** 30;

/** `\0reactor-net-jbus-` and the key as eight hexadecimal digits. */
export function doorbellName(key: number): string {
  return `\0reactor-net-jbus-${(key >>> 0).toString(16).padStart(8, '0')}`;
}

/** One end of a connected Unix stream: inherited, or from `connectDoorbell`. */
export class StreamDoorbell implements Doorbell {
  readonly sleepMsMax: number = SAFETY_POLL_MS;
  readonly #bell: NativeDoorbell;
  #onRing: (() => void) | undefined;
  #onPeerGone: (() => void) | undefined;

  /** Takes over the descriptor. @throws JbusError JBUS_SYSTEM_CALL_FAILED: it is no socket; it is then the caller's. */
  constructor(fd: number) {
    this.#bell = native(() => new (shmAddon().Doorbell)(fd, (heard) => this.#hear(heard)));
  }

  listen(onRing: () => void, onPeerGone: () => void): void {
    this.#onRing = onRing;
    this.#onPeerGone = onPeerGone;
  }

  ring(): void {
    this.#bell.ring();
  }

  wait(timeoutMs: number): 'rung' | 'gone' | 'silent' {
    const heard = this.#bell.wait(Math.ceil(timeoutMs));
    if (heard === BELL_GONE) return 'gone';
    return heard === BELL_RUNG ? 'rung' : 'silent';
  }

  setRef(isRef: boolean): void {
    if (isRef) this.#bell.ref();
    else this.#bell.unref();
  }

  close(): void {
    this.#onRing = undefined;
    this.#onPeerGone = undefined;
    this.#bell.close();
  }

  #hear(heard: number): void {
    if (heard === BELL_GONE) this.#onPeerGone?.();
    else this.#onRing?.();
  }
}

/**
 * Waits at a key's name for the peer to connect; from then on a StreamDoorbell. One at a time, of our own user; who
 * leaves without having joined the channel was not the peer, and the next one may come.
 */
export class NamedDoorbell implements Doorbell {
  readonly #onConnected: (fd: number) => void;
  readonly #waiting: NativeDoorbell;
  readonly #listener: number;
  #stream: StreamDoorbell | undefined;
  #listeners: [() => void, () => void] | undefined;
  #isRef = true;
  #isSettled = false;
  #isClosed = false;

  /**
   * @param onConnected is called with the connection before it becomes a doorbell, and does not close it.
   * @throws JbusError JBUS_KEY_IN_USE: somebody waits at the name already.
   */
  constructor(key: number, onConnected: (fd: number) => void = () => {}) {
    this.#onConnected = onConnected;
    const path = doorbellName(key);
    const listener = nativeSocket(() => shmAddon().listenUnix({ path, backlog: BACKLOG }));
    try {
      this.#waiting = native(() => new (shmAddon().Doorbell)(listener, (heard) => this.#accept(heard)));
    } catch (error) {
      shmAddon().closeFd(listener);
      throw error;
    }
    this.#listener = listener;
  }

  /** Until the peer has connected it may be one that has no doorbell and only looks. */
  get sleepMsMax(): number {
    return this.#stream === undefined ? BARE_POLL_MS : SAFETY_POLL_MS;
  }

  listen(onRing: () => void, onPeerGone: () => void): void {
    this.#listeners = [onRing, onPeerGone];
  }

  /** The peer has joined: nobody else is let in. */
  settle(): void {
    this.#isSettled = true;
    this.#waiting.close();
  }

  ring(): void {
    this.#stream?.ring();
  }

  wait(timeoutMs: number): 'rung' | 'gone' | 'silent' {
    if (this.#stream === undefined) this.#accept(this.#waiting.wait(Math.ceil(timeoutMs)));
    const answer = this.#stream?.wait(timeoutMs) ?? 'silent';
    if (answer !== 'gone' || this.#isSettled) return answer;
    this.#lose();
    return 'silent';
  }

  setRef(isRef: boolean): void {
    this.#isRef = isRef;
    this.#stream?.setRef(isRef);
    if (isRef) this.#waiting.ref();
    else this.#waiting.unref();
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners = undefined;
    this.#waiting.close();
    this.#stream?.close();
  }

  #accept(heard: number): void {
    if (heard !== BELL_CALLER || this.#isClosed) return;
    let fd = -1;
    try {
      fd = native(() => shmAddon().acceptUnix(this.#listener));
      if (fd < 0) return;
      this.#checkStream();
      if (this.#stream !== undefined) throw new JbusError('JBUS_SIDE_TAKEN', 'somebody is here already');
      if (!isOwnUser(fd)) throw new JbusError('JBUS_FORBIDDEN', 'another user came to the door');
      this.#onConnected(fd);
      this.#stream = new StreamDoorbell(fd);
    } catch {
      if (fd >= 0) shmAddon().closeFd(fd); // it sees the end of the stream; the right one may still come
      return;
    }
    this.#stream.setRef(this.#isRef);
    this.#stream.listen(
      () => this.#listeners?.[0](),
      () => this.#lose(),
    );
    this.#listeners?.[0]();
  }

  /** Whoever was here may have left without our having heard it yet. */
  #checkStream(): void {
    const heard = this.#stream?.wait(0);
    if (heard === 'gone') this.#lose();
    if (heard === 'rung') this.#listeners?.[0]();
  }

  #lose(): void {
    this.#listeners?.[0](); // it may have joined, unnoticed so far
    if (this.#isSettled) {
      this.#listeners?.[1]();
      return;
    }
    this.#stream?.close();
    this.#stream = undefined;
  }
}

/** Neither can ring: the channel looks every other millisecond while something is awaited. */
export class BareDoorbell implements Doorbell {
  readonly sleepMsMax: number = BARE_POLL_MS;
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));
  /** Holds the loop as an open socket does. */
  readonly #hold = setInterval(() => {}, HOLD_MS);

  listen(): void {
    // Nobody calls.
  }

  ring(): void {
    // Nobody hears.
  }

  wait(timeoutMs: number): 'silent' {
    Atomics.wait(this.#cell, 0, 0, timeoutMs);
    return 'silent';
  }

  setRef(isRef: boolean): void {
    if (isRef) this.#hold.ref();
    else this.#hold.unref();
  }

  close(): void {
    clearInterval(this.#hold);
  }
}

/**
 * The connection to whoever waits at the key's name, or undefined when nobody does.
 * @throws JbusError JBUS_FORBIDDEN: another user waits there.
 */
export function connectToKey(key: number): number | undefined {
  let fd: number;
  try {
    fd = native(() => shmAddon().connectUnix(doorbellName(key)));
  } catch {
    return undefined; // refused: no such name here, or too many wait; the caller knows what to do without
  }
  if (isOwnUser(fd)) return fd;
  shmAddon().closeFd(fd);
  throw new JbusError('JBUS_FORBIDDEN', `another user waits at the doorbell of key ${key}`);
}

function isOwnUser(fd: number): boolean {
  return native(() => shmAddon().userBehind(fd)) === process.geteuid?.();
}

/** A name that is taken means the same as a key that is. */
function nativeSocket<T>(call: () => T): T {
  try {
    return native(call);
  } catch (error) {
    if (error instanceof JbusError && error.syscall === 'bind') {
      throw new JbusError('JBUS_KEY_IN_USE', 'somebody waits at the name of this key already', {
        cause: error,
      });
    }
    throw error;
  }
}
