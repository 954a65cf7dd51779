// A link over a Unix stream, for hosts without shared memory or the addon: the same records, copied by the kernel.
// One stream is both rings and the doorbell. The owner waits for its peer at a place, or has one end of a pair of which
// the peer inherits the other; socket-handshake.ts finds out whether it is the right one.

import { Socket } from 'node:net';

import { JbusError } from './errors.js';
import { channelHash } from './keys.js';
import { isCapacity, STATE_CLOSING, STATE_POISONED, type SegmentState } from './layout.js';
import type { ChannelLink, Doorbell, PeerFacts } from './link.js';
import { MemoryRing } from './memory-ring.js';
import { checkCapacity, randomEpoch } from './shm-ring.js';
import { answerAsPeer, greetAsOwner } from './socket-handshake.js';
import { goToPlace, waitAtPlace } from './socket-place.js';
import { SocketReceiver } from './socket-receiver.js';
import {
  encodeNotice,
  FLAG_RELEASED,
  FLAG_STATE,
  FLAG_WANT,
  type Greeting,
  type StreamRecord,
} from './socket-wire.js';
import { SocketWriter } from './socket-writer.js';
import type { LinkOptions, RingSizes } from './sysv-link.js';

export interface SocketOwnerOptions extends LinkOptions, RingSizes {
  readonly key: number;
  /** One end of a stream whose other end the peer gets; without it the peer comes to the key's place. */
  readonly doorbellFd?: number;
}

export type SocketPeerTarget = { readonly doorbellFd: number } | { readonly key: number };

/** The stream tells everything; the timer is for deadlines. */
const SLEEP_MS_MAX = 50;
/** A peer that does not read holds up the last bytes no longer than this. */
const LINGER_MS = 1000;

/** @throws JbusError (as rejection) JBUS_KEY_IN_USE, JBUS_FORBIDDEN, JBUS_INVALID_ARGUMENT. */
export async function createSocketLink(options: SocketOwnerOptions): Promise<SocketLink> {
  const { key, doorbellFd, capacityOut, capacityIn } = options;
  const stream = doorbellFd === undefined ? undefined : inherited(doorbellFd);
  try {
    checkCapacity(capacityOut);
    checkCapacity(capacityIn);
    if (key === 0 && stream === undefined) {
      throw new JbusError('JBUS_INVALID_ARGUMENT', 'a channel over a socket needs a key or a doorbellFd');
    }
  } catch (error) {
    stream?.destroy();
    throw error;
  }
  const name = channelHash(options.name);
  const greeting = { pid: process.pid, epoch: randomEpoch(), channelHash: name, capacityOut, capacityIn };
  const link = new SocketLink(options);
  if (stream === undefined) await awaitPeer(link, key, greeting);
  else greetChild(link, stream, greeting);
  return link;
}

function greetChild(link: SocketLink, stream: Socket, greeting: Greeting): void {
  link.onClose(() => stream.destroySoon());
  greetAsOwner(stream, greeting).then(
    () => link.connect(stream),
    () => link.lose(), // whoever has the other end is not the peer
  );
}

async function awaitPeer(link: SocketLink, key: number, greeting: Greeting): Promise<void> {
  const server = await waitAtPlace(key, (stream) => {
    greetAsOwner(stream, greeting).then(
      () => {
        server.close();
        link.connect(stream);
      },
      () => stream.destroy(), // somebody else, perhaps only to see whether we live; the right one may still come
    );
  });
  link.onClose(() => server.close());
}

/**
 * The peer's side; the descriptor in `target` is the link's from here on.
 * @throws JbusError (as rejection) JBUS_NO_SEGMENT, JBUS_NOT_OURS, JBUS_VERSION, JBUS_OTHER_CHANNEL,
 * JBUS_BAD_LAYOUT, JBUS_FORBIDDEN.
 */
export async function attachSocketLink(target: SocketPeerTarget, options: LinkOptions): Promise<SocketLink> {
  const stream = 'key' in target ? await goToPlace(target.key) : inherited(target.doorbellFd);
  try {
    const { capacityOut, capacityIn } = await answerAsPeer(stream, options.name);
    if (!isCapacity(capacityOut) || !isCapacity(capacityIn)) {
      throw new JbusError(
        'JBUS_BAD_LAYOUT',
        `the owner greets with rings of ${capacityOut} and ${capacityIn} bytes`,
      );
    }
    const link = new SocketLink({ capacityOut: capacityIn, capacityIn: capacityOut });
    link.connect(stream);
    return link;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function inherited(fd: number): Socket {
  const stream = new Socket({ fd });
  stream.on('error', () => {}); // 'close' follows
  return stream;
}

export class SocketLink implements ChannelLink {
  readonly backing = 'socket';
  readonly canBlock = false;
  readonly writer: SocketWriter;
  readonly reader: MemoryRing;
  readonly doorbell: Doorbell;
  readonly outCapacity: number;
  readonly inCapacity: number;
  readonly #receiver: SocketReceiver;
  readonly #undo: (() => void)[] = [];
  #stream: Socket | undefined;
  #onRing: () => void = () => {};
  #onPeerGone: () => void = () => {};
  #state: SegmentState = 'init';
  /** The position the peer knows we have read up to. */
  #told = 0;
  #isRef = true;
  #isLost = false;
  #isClosed = false;

  constructor({ capacityOut, capacityIn }: RingSizes) {
    this.outCapacity = capacityOut;
    this.inCapacity = capacityIn;
    this.reader = new MemoryRing(capacityIn);
    this.writer = new SocketWriter(capacityOut, () => this.#onRing());
    this.#receiver = new SocketReceiver(this.reader, (notice) => this.#heed(notice));
    this.doorbell = {
      sleepMsMax: SLEEP_MS_MAX,
      listen: (onRing, onPeerGone) => this.#listen(onRing, onPeerGone),
      ring: () => this.#tellReleased(),
      wait: () => {
        throw new JbusError('JBUS_UNSUPPORTED', 'a channel over a stream cannot block');
      },
      setRef: (isRef) => this.#setRef(isRef),
      close: () => {},
    };
  }

  get memory(): Uint8Array {
    return this.reader.memory;
  }

  /** Takes over the stream to the peer, which has greeted. */
  connect(stream: Socket): void {
    if (this.#isClosed) return void stream.destroy();
    this.#stream = stream;
    this.#setRef(this.#isRef);
    this.#state = 'ready';
    this.writer.open(stream);
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('close', () => this.lose());
    stream.resume();
    this.#onRing();
  }

  /** The peer will never come, or never come back. */
  lose(): void {
    this.#isLost = true;
    if (!this.#isClosed) this.#onPeerGone();
  }

  /** Runs with `close`. */
  onClose(undo: () => void): void {
    this.#undo.push(undo);
  }

  state(): SegmentState {
    return this.#state;
  }

  mark(state: 'closing' | 'poisoned'): void {
    this.#raise(state);
    this.#send(encodeNotice(FLAG_STATE, { type: state === 'closing' ? STATE_CLOSING : STATE_POISONED }));
  }

  beat(): void {
    // The heartbeats among the records are all there is.
  }

  peer(): PeerFacts {
    return { pid: 0, isAlive: undefined, heartbeatMs: 0 };
  }

  settle(): void {
    // The place was given up when the peer came.
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.writer.close();
    for (const undo of this.#undo) undo();
    const stream = this.#stream;
    if (stream === undefined) return;
    stream.removeAllListeners('data');
    stream.resume(); // what still comes is nobody's, and must not keep the end from coming
    // Half closed until the peer has ended too: were it closed, a heartbeat of the peer's would fail, and node:net would
    // then throw away what the peer has not read yet, the notice that this is an end and no death.
    stream.end();
    const linger = setTimeout(() => stream.destroy(), LINGER_MS);
    stream.once('close', () => clearTimeout(linger));
  }

  #listen(onRing: () => void, onPeerGone: () => void): void {
    this.#onRing = onRing;
    this.#onPeerGone = onPeerGone;
    if (this.#isLost) setImmediate(() => this.lose());
  }

  #setRef(isRef: boolean): void {
    this.#isRef = isRef;
    if (isRef) this.#stream?.ref();
    else this.#stream?.unref();
  }

  #receive(chunk: Buffer): void {
    try {
      this.#receiver.feed(chunk);
    } catch {
      this.#raise('poisoned'); // the channel finds it, and tells its user and the peer
    }
    this.#onRing();
  }

  #heed({ flags, type, msgId }: StreamRecord): void {
    if (flags === FLAG_RELEASED) return this.writer.release(msgId);
    if (flags === FLAG_STATE) return this.#raise(type === STATE_CLOSING ? 'closing' : 'poisoned');
    if (flags !== FLAG_WANT) return; // a heartbeat: that it came is all it says
    // What was released before is told now, what comes after with the next release.
    if (this.reader.head > this.#told) this.#tellReleased();
    else this.reader.prepareWait(this.inCapacity);
  }

  #tellReleased(): void {
    if (this.reader.head === this.#told) return;
    this.#told = this.reader.head;
    this.#send(encodeNotice(FLAG_RELEASED, { msgId: this.#told }));
  }

  #send(notice: Buffer): void {
    if (this.#stream?.writable === true) this.#stream.write(notice);
  }

  #raise(state: 'closing' | 'poisoned'): void {
    if (this.#state === 'poisoned') return;
    this.#state = state;
    if (state === 'poisoned') this.reader.giveUp();
  }
}
