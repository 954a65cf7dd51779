// Makes channels: the owner creates one and gets an address, the peer attaches to the address.
// An address is plain data for a command line or a message; peer-arguments.ts writes it as flags.
// Which backing carries it is decided here, by what the machine can do and what was asked for.

import { closeSync } from 'node:fs';

import { Channel } from './channel.js';
import { type ChannelOptions, checkInteger, completeChannelOptions } from './channel-options.js';
import { JbusError, native } from './errors.js';
import type { BackingName } from './link.js';
import { attachMemfdLink, createMemfdLink } from './memfd-link.js';
import { memoryLinks } from './memory-link.js';
import { shmAddon } from './native.js';
import { attachSocketLink, createSocketLink } from './socket-link.js';
import { attachSysvLink, createSysvLink } from './sysv-link.js';

/** Those that connect two processes. */
export type SharedBacking = Exclude<BackingName, 'memory'>;

export interface CreateChannelOptions extends ChannelOptions {
  /** 'auto': the best that works here. Default 'auto'. */
  backing?: SharedBacking | 'auto';
  /** Even, see pairKey; 0: the peer needs the address. Default 0. */
  key?: number;
  /** Bytes of the ring the owner writes, a power of two from 4 KiB to 2 GiB. Default 1 MiB. */
  capacityOut?: number;
  /** Bytes of the ring the owner reads. Default 1 MiB. */
  capacityIn?: number;
  /** Every record has a CRC-32; only where memory is shared. Default false. */
  crc?: boolean;
  /** The segments keep their key until `close`, instead of losing it as soon as the peer has come. Default false. */
  persistent?: boolean;
  /** One end of a stream; the peer gets the other. It is the channel's from the call on. */
  doorbellFd?: number;
}

/** Where the peer finds a channel, from the peer's side. `doorbellFd` is a number of the peer's process. */
export type ChannelAddress =
  | {
      readonly backing: 'sysv';
      readonly sendId: number;
      readonly receiveId: number;
      readonly epoch: number;
      readonly doorbellFd?: number;
    }
  | { readonly backing: SharedBacking; readonly key: number }
  | { readonly backing: 'memfd' | 'socket'; readonly doorbellFd: number };

const MIB = 1024 * 1024;
const KEY_MAX = 2 ** 31 - 2;

/**
 * A channel of which this process is the owner; `join` tells when the peer has come. The address lacks `doorbellFd`
 * where `options` has one: only who passes the other end on knows its number there.
 * @throws JbusError (as rejection) JBUS_KEY_IN_USE, JBUS_FORBIDDEN, JBUS_NO_SPACE, JBUS_UNSUPPORTED,
 * JBUS_INVALID_ARGUMENT.
 */
export async function createChannel(
  options: CreateChannelOptions = {},
): Promise<{ channel: Channel; address: ChannelAddress }> {
  const { capacityOut = MIB, capacityIn = MIB, crc = false, persistent = false, doorbellFd } = options;
  const { backing, key, name, messageBytesMax, heartbeatMs } = owning(doorbellFd, () =>
    completeCreate(options),
  );
  const common = { name, messageBytesMax, heartbeatMs, key, capacityOut, capacityIn, crc };
  const doorbell = doorbellFd === undefined ? {} : { doorbellFd };
  switch (backing) {
    case 'sysv': {
      const { link, outId, inId, epoch } = createSysvLink({ ...common, ...doorbell, persistent });
      const address = { backing, sendId: inId, receiveId: outId, epoch };
      return { channel: new Channel(link, options), address };
    }
    case 'memfd': {
      const link = createMemfdLink({ ...common, ...doorbell });
      return { channel: new Channel(link, options), address: { backing, key } };
    }
    case 'socket': {
      const link = await createSocketLink({ ...common, ...doorbell });
      return { channel: new Channel(link, options), address: { backing, key } };
    }
    default:
      return backing satisfies never;
  }
}

/**
 * The peer's side of a channel that exists; a descriptor in the address is the channel's from the call on.
 * @throws JbusError (as rejection) JBUS_NO_SEGMENT: it does not exist, or in another IPC namespace; JBUS_FORBIDDEN,
 * JBUS_EPOCH, JBUS_OTHER_CHANNEL, JBUS_VERSION, JBUS_BAD_LAYOUT, JBUS_SIDE_TAKEN, JBUS_POISONED, JBUS_UNSUPPORTED.
 */
export async function attachChannel(address: ChannelAddress, options: ChannelOptions = {}): Promise<Channel> {
  const doorbellFd = 'doorbellFd' in address ? address.doorbellFd : undefined;
  const complete = owning(doorbellFd, () => completeChannelOptions(options));
  switch (address.backing) {
    case 'sysv':
      return new Channel(attachSysvLink(address, complete), options);
    case 'memfd':
      return new Channel(await attachMemfdLink(address, complete), options);
    case 'socket':
      return new Channel(await attachSocketLink(address, complete), options);
    default:
      return address satisfies never;
  }
}

function completeCreate(
  options: CreateChannelOptions,
): Required<ChannelOptions> & { backing: SharedBacking; key: number } {
  const { key = 0, backing = 'auto' } = options;
  checkInteger('key', key, 0, KEY_MAX);
  if (key % 2 !== 0)
    throw new JbusError('JBUS_INVALID_ARGUMENT', `key must be even, not ${key}: see pairKey`);
  return { ...completeChannelOptions(options), backing: chooseBacking(backing), key };
}

/** What comes before a link takes over the descriptor: should it throw, the descriptor is closed here. */
function owning<T>(fd: number | undefined, prepare: () => T): T {
  try {
    return prepare();
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw error;
  }
}

/**
 * The best backing that works here: System V memory, where Python can join and nothing is needed to meet; else memory
 * files; else a stream, which needs no addon.
 * @throws JbusError JBUS_UNSUPPORTED: one was asked for that does not work here, with the reason.
 */
export function chooseBacking(wanted: SharedBacking | 'auto'): SharedBacking {
  if (wanted === 'socket') return wanted;
  if (wanted === 'sysv' || wanted === 'memfd') {
    PROBES[wanted]();
    return wanted;
  }
  for (const backing of ['sysv', 'memfd'] as const) {
    try {
      PROBES[backing]();
      return backing;
    } catch {
      // the next one may work
    }
  }
  return 'socket';
}

/** Make one and give it back: what a sandbox forbids shows only when it is tried. */
const PROBES: Readonly<Record<'sysv' | 'memfd', () => void>> = {
  sysv: () => {
    const addon = shmAddon();
    native(() => addon.shmRemove(addon.shmCreate(0, 1)));
  },
  memfd: () => {
    const addon = shmAddon();
    native(() => addon.closeMemoryFile(addon.createMemoryFile(1)));
  },
};

/** Both sides of a channel within this thread, the owner's first. @throws JbusError JBUS_INVALID_ARGUMENT */
export function memoryChannels(
  options: ChannelOptions & { capacityOut?: number; capacityIn?: number } = {},
  peerOptions: ChannelOptions = options,
): [Channel, Channel] {
  const { capacityOut = MIB, capacityIn = capacityOut } = options;
  const [owner, peer] = memoryLinks(capacityOut, capacityIn);
  return [new Channel(owner, options), new Channel(peer, peerOptions)];
}
