// Links over System V segments: made by an owner under a key or none, attached to by key or by id.
// The segments lose their names as soon as the peer has come, so that nothing is left behind however both end;
// until then, and for persistent channels, a stale segment is recognised by ShmManager and by `reactor-net shm gc`.

import { closeSync } from 'node:fs';

import { BareDoorbell, connectToKey, NamedDoorbell, StreamDoorbell } from './doorbells.js';
import { twinKey } from './keys.js';
import type { Doorbell } from './link.js';
import { RingLink } from './ring-link.js';
import { ShmManager } from './shm-manager.js';
import { ShmRing } from './shm-ring.js';

export interface RingSizes {
  /** Bytes of the ring the owner writes, and of the one it reads: powers of two. */
  readonly capacityOut: number;
  readonly capacityIn: number;
}

/** What a link needs to know beside where its segments are. */
export interface LinkOptions {
  /** Both sides must use the same. */
  readonly name: string;
  readonly messageBytesMax: number;
  readonly heartbeatMs: number;
}

export interface SysvOwnerOptions extends LinkOptions, RingSizes {
  /** Even; 0: found by the segments' ids only. */
  readonly key: number;
  /** Every record has a CRC-32. */
  readonly crc: boolean;
  /** The segments keep their names until `close`. */
  readonly persistent: boolean;
  /** Takes over one end of a stream whose other end the peer gets. Without it: the key's name, else none. */
  readonly doorbellFd?: number;
}

/** By id: what the owner told its child. By key: the peer finds the doorbell itself. */
export type SysvPeerTarget =
  | {
      readonly sendId: number;
      readonly receiveId: number;
      readonly epoch: number;
      readonly doorbellFd?: number;
    }
  | { readonly key: number };

export interface SysvOwnerLink {
  readonly link: RingLink;
  /** The segments the owner writes and reads. */
  readonly outId: number;
  readonly inId: number;
  readonly epoch: number;
}

/** @throws JbusError JBUS_KEY_IN_USE, JBUS_FORBIDDEN, JBUS_NO_SPACE, JBUS_UNSUPPORTED, JBUS_INVALID_ARGUMENT. */
export function createSysvLink(options: SysvOwnerOptions): SysvOwnerLink {
  const { key, name, crc, persistent } = options;
  const rings: ShmRing[] = [];
  const giveUp = (): void => {
    for (const ring of rings) {
      ring.remove();
      ring.close();
    }
  };
  let doorbell: Doorbell | undefined;
  try {
    doorbell = ownerDoorbell(key, options.doorbellFd);
    const manager = new ShmManager({ heartbeatMs: options.heartbeatMs || 1 });
    const make = (ringKey: number, capacity: number, epoch?: number): ShmRing => {
      const ringOptions = { capacity, name, crc, ...(epoch === undefined ? {} : { epoch }) };
      const ring = ringKey === 0 ? ShmRing.create(0, ringOptions) : manager.create(ringKey, ringOptions);
      rings.push(ring);
      return ring;
    };
    const out = make(key, options.capacityOut);
    const back = make(key === 0 ? 0 : twinKey(key), options.capacityIn, out.epoch);
    const opened = doorbell;
    const parts = { backing: 'sysv' as const, outId: out.id, inId: back.id, openDoorbell: () => opened };
    const { messageBytesMax } = options;
    const onSettle = (): void => {
      if (opened instanceof NamedDoorbell) opened.settle();
      if (persistent) return;
      for (const ring of rings) ring.remove();
    };
    const link = new RingLink({ ...parts, messageBytesMax, onSettle, onClose: giveUp });
    return { link, outId: out.id, inId: back.id, epoch: out.epoch };
  } catch (error) {
    doorbell?.close();
    giveUp();
    throw error;
  }
}

/**
 * The peer's side. The descriptor in `target` is the link's from the call on.
 * @throws JbusError JBUS_NO_SEGMENT, JBUS_FORBIDDEN, JBUS_EPOCH, JBUS_OTHER_CHANNEL, JBUS_VERSION, JBUS_SIDE_TAKEN, …
 */
export function attachSysvLink(target: SysvPeerTarget, options: LinkOptions): RingLink {
  const rings: ShmRing[] = [];
  const detach = (): void => {
    for (const ring of rings) ring.close();
  };
  let isTaken = false;
  try {
    const { name, messageBytesMax } = options;
    const [inRing, outRing] = attachBoth(target, name, rings);
    const link = new RingLink({
      backing: 'sysv',
      outId: outRing.id,
      inId: inRing.id,
      messageBytesMax,
      openDoorbell: () => {
        isTaken = true;
        return peerDoorbell(target);
      },
      onSettle: () => {},
      onClose: detach,
    });
    // Not before both sides are taken: of who dies without a pid in the header, nobody would ever learn.
    for (const ring of rings) ring.markReady();
    link.doorbell.ring();
    return link;
  } catch (error) {
    if (!isTaken && 'doorbellFd' in target && target.doorbellFd !== undefined) closeSync(target.doorbellFd);
    detach();
    throw error;
  }
}

/** The ring the peer reads, which is the owner's first, and the one it writes. */
function attachBoth(target: SysvPeerTarget, name: string, rings: ShmRing[]): [ShmRing, ShmRing] {
  if ('key' in target) {
    const manager = new ShmManager();
    const first = manager.register(target.key, { name, ready: false });
    rings.push(first);
    const second = manager.register(twinKey(target.key), { name, epoch: first.epoch, ready: false });
    rings.push(second);
    return [first, second];
  }
  const { sendId, receiveId, epoch } = target;
  const first = ShmRing.attach(receiveId, { name, epoch, ready: false });
  rings.push(first);
  const second = ShmRing.attach(sendId, { name, epoch, ready: false });
  rings.push(second);
  return [first, second];
}

function ownerDoorbell(key: number, fd: number | undefined): Doorbell {
  if (fd !== undefined) return new StreamDoorbell(fd);
  return key === 0 ? new BareDoorbell() : new NamedDoorbell(key);
}

function peerDoorbell(target: SysvPeerTarget): Doorbell {
  const fd = 'key' in target ? connectToKey(target.key) : target.doorbellFd;
  return fd === undefined ? new BareDoorbell() : new StreamDoorbell(fd);
}
