// Links over anonymous memory files: nothing has a name, and nothing is left behind however both sides end.
// The descriptors travel over the stream that is the doorbell from then on: inherited, or behind the key's name.
// The first message from the owner is HELLO_BYTES long and carries both files: the ring it writes, the one it reads.

import { setTimeout as sleep } from 'node:timers/promises';

import { connectToKey, NamedDoorbell, StreamDoorbell } from './doorbells.js';
import { JbusError, native } from './errors.js';
import { channelHash } from './keys.js';
import { SEGMENT_FLAG_CRC, STATE_READY, segmentBytesFor } from './layout.js';
import type { Doorbell } from './link.js';
import { shmAddon } from './native.js';
import { RingLink } from './ring-link.js';
import { checkCapacity, checkHeader, randomEpoch } from './shm-ring.js';
import type { LinkOptions, RingSizes } from './sysv-link.js';

export interface MemfdOwnerOptions extends LinkOptions, RingSizes {
  readonly key: number;
  readonly crc: boolean;
  /** Takes over one end of a stream whose other end the peer gets; without it the peer comes to the key's name. */
  readonly doorbellFd?: number;
}

export type MemfdPeerTarget = { readonly doorbellFd: number } | { readonly key: number };

/** What the first message says beside its descriptors: `JBUSMEM1`, then the epoch as u64. */
const HELLO_MAGIC = Buffer.from('JBUSMEM1');
const HELLO_BYTES = 16;
const HELLO_TIMEOUT_MS = 5000;
const HELLO_POLL_MS = 1;

/** @throws JbusError JBUS_KEY_IN_USE, JBUS_NO_SPACE, JBUS_UNSUPPORTED, JBUS_INVALID_ARGUMENT. */
export function createMemfdLink(options: MemfdOwnerOptions): RingLink {
  const { key, doorbellFd } = options;
  if (key === 0 && doorbellFd === undefined) {
    throw new JbusError('JBUS_INVALID_ARGUMENT', 'a channel over memfd needs a key or a doorbellFd');
  }
  const ids: number[] = [];
  const forget = (): void => {
    for (const id of ids.splice(0)) shmAddon().closeMemoryFile(id);
  };
  let doorbell: Doorbell | undefined;
  try {
    if (doorbellFd !== undefined) doorbell = new StreamDoorbell(doorbellFd);
    const epoch = randomEpoch();
    ids.push(makeRing(options.capacityOut, epoch, options));
    ids.push(makeRing(options.capacityIn, epoch, options));
    const [outId, inId] = [ids[0]!, ids[1]!];
    const hello = Buffer.concat([HELLO_MAGIC, Buffer.alloc(8)]);
    hello.writeBigUInt64LE(BigInt(epoch), HELLO_MAGIC.length);
    const greet = (fd: number): void => native(() => shmAddon().sendMemoryFiles(fd, hello, [outId, inId]));
    if (doorbellFd !== undefined) greet(doorbellFd);
    doorbell ??= new NamedDoorbell(key, greet);
    const opened = doorbell;
    const { messageBytesMax } = options;
    const parts = { backing: 'memfd' as const, outId, inId, messageBytesMax, openDoorbell: () => opened };
    const onSettle = (): void => {
      if (opened instanceof NamedDoorbell) opened.settle();
      forget();
    };
    return new RingLink({ ...parts, onSettle, onClose: forget });
  } catch (error) {
    doorbell?.close();
    forget();
    throw error;
  }
}

/**
 * The peer's side; the descriptor in `target` is the link's from here on.
 * @throws JbusError (as rejection) JBUS_NO_SEGMENT: nobody is there, or sends no memory in time; JBUS_NOT_OURS,
 * JBUS_FORBIDDEN, JBUS_OTHER_CHANNEL, JBUS_VERSION, JBUS_SIDE_TAKEN.
 */
export async function attachMemfdLink(target: MemfdPeerTarget, options: LinkOptions): Promise<RingLink> {
  const fd = 'key' in target ? connectToKey(target.key) : target.doorbellFd;
  if (fd === undefined) throw new JbusError('JBUS_NO_SEGMENT', 'nobody waits at the name of this key');
  let ids: readonly number[] = [];
  let link: RingLink | undefined;
  try {
    const hello = await receiveHello(fd);
    ({ ids } = hello);
    const [inId, outId] = ids;
    if (inId === undefined || outId === undefined || ids.length !== 2) {
      throw new JbusError('JBUS_NOT_OURS', 'the stream carries no two memory files');
    }
    for (const id of ids) {
      const header = native(() => shmAddon().shmHeader(id));
      checkHeader('the memory file', header, { name: options.name, epoch: hello.epoch });
    }
    const { messageBytesMax } = options;
    const parts = { backing: 'memfd' as const, outId, inId, messageBytesMax };
    const openDoorbell = (): Doorbell => new StreamDoorbell(fd);
    link = new RingLink({ ...parts, openDoorbell, onSettle: () => {}, onClose: () => {} });
    for (const id of ids) native(() => shmAddon().shmMark(id, STATE_READY));
    link.doorbell.ring();
    return link;
  } catch (error) {
    if (link === undefined) shmAddon().closeFd(fd);
    else link.close();
    throw error;
  } finally {
    for (const id of ids) shmAddon().closeMemoryFile(id); // what is mapped stays
  }
}

function makeRing(capacity: number, epoch: number, { name, crc }: MemfdOwnerOptions): number {
  checkCapacity(capacity);
  const id = native(() => shmAddon().createMemoryFile(segmentBytesFor(capacity)));
  const flags = crc ? SEGMENT_FLAG_CRC : 0;
  native(() => shmAddon().shmFormat(id, capacity, epoch, channelHash(name), flags, 0));
  return id;
}

/** A doorbell would drain the bytes and lose what they carry, so the stream is looked at until they are there. */
async function receiveHello(fd: number): Promise<{ epoch: number; ids: readonly number[] }> {
  const deadlineMs = performance.now() + HELLO_TIMEOUT_MS;
  for (;;) {
    const message = native(() => shmAddon().receiveMemoryFiles(fd, HELLO_BYTES));
    if (message !== null) {
      const bytes = Buffer.from(message.bytes);
      if (bytes.length === HELLO_BYTES && bytes.subarray(0, HELLO_MAGIC.length).equals(HELLO_MAGIC)) {
        return { epoch: Number(bytes.readBigUInt64LE(HELLO_MAGIC.length)), ids: message.ids };
      }
      for (const id of message.ids) shmAddon().closeMemoryFile(id);
      if (bytes.length === 0)
        throw new JbusError('JBUS_NO_SEGMENT', 'nobody is at the other end of the stream');
      throw new JbusError('JBUS_NOT_OURS', 'the stream does not begin as a channel over memfd does');
    }
    if (performance.now() > deadlineMs) throw new JbusError('JBUS_NO_SEGMENT', 'no memory came in time');
    await sleep(HELLO_POLL_MS);
  }
}
