// The addon's shared-memory functions for the other files of this layer, or the reason why there are none.
// Everything that needs System V memory goes through here; nothing else in the package depends on it.

import { addonMissingReason, loadAddon } from '../index.js';
import type { Addon } from '../index.js';
import { JbusError } from './errors.js';

/** @throws JbusError JBUS_UNSUPPORTED: it is not Linux, or the addon is missing; the message says which. */
export function shmAddon(): Addon {
  if (process.platform !== 'linux') {
    throw new JbusError(
      'JBUS_UNSUPPORTED',
      `shared memory needs Linux, this is ${process.platform}; the backing 'socket' works here`,
    );
  }
  const addon = loadAddon();
  if (addon === null) throw new JbusError('JBUS_UNSUPPORTED', addonMissingReason() ?? 'there is no addon');
  return addon;
}
