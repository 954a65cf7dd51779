// The one list from which the channels' suite takes its backings: a behaviour is declared once and becomes one test per
// backing, so that a backing which joins the list has to keep every promise of the others.

import type { TestContext } from 'node:test';

import {
  attachChannel,
  type BackingName,
  type Channel,
  type ChannelOptions,
  createChannel,
  type CreateChannelOptions,
  memoryChannels,
} from '../../addon/jbus/index.js';
import { loadAddon } from '../../addon/index.js';

/** Those that can run here. */
export const BACKINGS: readonly BackingName[] =
  loadAddon() === null ? ['memory'] : ['sysv', 'memfd', 'socket', 'memory'];

/** Calls `declare` for every backing; put its name into the titles. */
export function forEachBacking(declare: (backing: BackingName) => void): void {
  for (const backing of BACKINGS) declare(backing);
}

/** Both sides of a channel in this thread, the owner's first, joined; closed after the test. */
export async function openPair(
  t: TestContext,
  backing: BackingName,
  options: Omit<CreateChannelOptions, 'backing' | 'doorbellFd'> = {},
  peerOptions: ChannelOptions = options,
): Promise<[Channel, Channel]> {
  const pair =
    backing === 'memory'
      ? memoryChannels(options, peerOptions)
      : await openTwoEnds({ ...options, backing }, peerOptions);
  t.after(() => {
    for (const channel of pair) channel.close();
  });
  await pair[0].join({ timeoutMs: 5000 });
  return pair;
}

async function openTwoEnds(
  options: CreateChannelOptions,
  peerOptions: ChannelOptions,
): Promise<[Channel, Channel]> {
  const [near, far] = loadAddon()!.socketPair();
  const { channel, address } = await createChannel({ ...options, doorbellFd: near });
  try {
    const { backing } = address;
    const place = backing === 'sysv' && 'epoch' in address ? address : { backing: backing as 'memfd' };
    return [channel, await attachChannel({ ...place, doorbellFd: far }, peerOptions)];
  } catch (error) {
    channel.close();
    throw error;
  }
}
