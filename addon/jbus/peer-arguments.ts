// The address of a channel as flags of a command line, which is how a child learns of it. Pure.
// The Python peer has the same flags for System V segments: --send-id, --receive-id, --epoch, --doorbell-fd.

import { parseArgs } from 'node:util';

import { JbusError } from './errors.js';
import type { ChannelAddress } from './open-channel.js';

/** Flags for a child that finds its end of the doorbell under `doorbellFd`. */
export function peerArguments(address: ChannelAddress, doorbellFd: number): string[] {
  const doorbell = ['--doorbell-fd', String(doorbellFd)];
  if (!('epoch' in address)) return ['--backing', address.backing, ...doorbell];
  const { sendId, receiveId, epoch } = address;
  const ids = ['--send-id', String(sendId), '--receive-id', String(receiveId), '--epoch', String(epoch)];
  return [...ids, ...doorbell];
}

/**
 * The address among these arguments, and the arguments that are not part of it.
 * @throws JbusError JBUS_INVALID_ARGUMENT: a flag is missing, or is no number.
 */
export function parsePeerArguments(argv: readonly string[]): { address: ChannelAddress; rest: string[] } {
  const names = ['backing', 'send-id', 'receive-id', 'epoch', 'doorbell-fd'] as const;
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string>();
  const used = new Set<number>();
  for (const token of tokens) {
    if (token.kind !== 'option' || !Object.hasOwn(options, token.name) || token.value === undefined) continue;
    values.set(token.name, token.value);
    used.add(token.index);
    if (!token.inlineValue) used.add(token.index + 1);
  }
  const rest = argv.filter((_, index) => !used.has(index));
  const number = (name: (typeof names)[number]): number => readNumber(name, values.get(name));
  const backing = values.get('backing') ?? 'sysv';
  const doorbellFd = number('doorbell-fd');
  if (backing === 'memfd' || backing === 'socket') return { address: { backing, doorbellFd }, rest };
  if (backing !== 'sysv') {
    throw new JbusError('JBUS_INVALID_ARGUMENT', `--backing must be sysv, memfd or socket, not ${backing}`);
  }
  const ids = { sendId: number('send-id'), receiveId: number('receive-id'), epoch: number('epoch') };
  return { address: { backing, ...ids, doorbellFd }, rest };
}

function readNumber(name: string, text: string | undefined): number {
  const value = Number(text);
  if (text !== undefined && /^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new JbusError(
    'JBUS_INVALID_ARGUMENT',
    `--${name} must be a number that its parent has passed, not ${text}`,
  );
}
