// Makes channels: the owner creates one and gets an address, the peer attaches to the address.
// An address is plain data for a command line or a message; peer-arguments.ts writes it as flags.
// Which backing carries it is decided here, by what the machine can do and what was asked for.

import { Channel } from './channel.js';
import { type ChannelOptions, checkInteger, completeChannelOptions } from './channel-options.js';
import { JbusError } from './errors.js';
import type { BackingName } from './link.js';
import { memoryLinks } from './memory-link.js';
import { attachSysvLink, createSysvLink } from './sysv-link.js';

export interface CreateChannelOptions extends ChannelOptions {
  /** 'auto': the best that works here. Default 'auto'. */
  backing?: Exclude<BackingName, 'memory'> | 'auto';
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

/** Where the peer finds a channel, from the peer's side. */
export type ChannelAddress =
  | {
      readonly backing: 'sysv';
      readonly sendId: number;
      readonly receiveId: number;
      readonly epoch: number;
      /** In the peer's process. */
      readonly doorbellFd?: number;
    }
  | { readonly backing: BackingName; readonly key: number };

const MIB = 1024 * 1024;
const KEY_MAX = 2 ** 31 - 2;

/**
 * A channel of which this process is the owner. `join` tells when the peer has come.
 * @throws JbusError (as rejection) JBUS_KEY_IN_USE, JBUS_FORBIDDEN, JBUS_NO_SPACE, JBUS_UNSUPPORTED,
 * JBUS_INVALID_ARGUMENT.
 */
export async function createChannel(
  options: CreateChannelOptions = {},
): Promise<{ channel: Channel; address: ChannelAddress }> {
  const channelOptions = completeChannelOptions(options);
  const {
    key = 0,
    capacityOut = MIB,
    capacityIn = MIB,
    crc = false,
    persistent = false,
    doorbellFd,
  } = options;
  checkInteger('key', key, 0, KEY_MAX);
  if (key % 2 !== 0)
    throw new JbusError('JBUS_INVALID_ARGUMENT', `key must be even, not ${key}: see pairKey`);
  const made = createSysvLink({
    ...channelOptions,
    key,
    capacityOut,
    capacityIn,
    crc,
    persistent,
    ...(doorbellFd === undefined ? {} : { doorbellFd }),
  });
  const address = { backing: 'sysv' as const, sendId: made.inId, receiveId: made.outId, epoch: made.epoch };
  return { channel: new Channel(made.link, options), address };
}

/**
 * The peer's side of a channel that exists.
 * @throws JbusError (as rejection) JBUS_NO_SEGMENT: it does not exist, or in another IPC namespace; JBUS_FORBIDDEN,
 * JBUS_EPOCH, JBUS_OTHER_CHANNEL, JBUS_VERSION, JBUS_BAD_LAYOUT, JBUS_SIDE_TAKEN, JBUS_POISONED, JBUS_UNSUPPORTED.
 */
export async function attachChannel(address: ChannelAddress, options: ChannelOptions = {}): Promise<Channel> {
  return new Channel(attachSysvLink(address, completeChannelOptions(options)), options);
}

/** Both sides of a channel within this thread, the owner's first. @throws JbusError JBUS_INVALID_ARGUMENT */
export function memoryChannels(
  options: ChannelOptions & { capacityOut?: number; capacityIn?: number } = {},
  peerOptions: ChannelOptions = options,
): [Channel, Channel] {
  const { capacityOut = MIB, capacityIn = capacityOut } = options;
  const [owner, peer] = memoryLinks(capacityOut, capacityIn);
  return [new Channel(owner, options), new Channel(peer, peerOptions)];
}
