// Whether a container that was decoded from somebody else's bytes is one that commands can have made.
// RESTORE asks: a checksum says who wrote bytes as little as a snapshot's does, and a value that breaks what its commands
// rely on would stop every member, now and after each restart. Snapshots are the members' own and are not asked about.

import type { Container } from '../value.js';
import { HashValue } from './hash-value.js';
import { SetValue } from './set-value.js';
import { SortedSetValue } from './sorted-set-value.js';
import { StreamValue } from './stream-value.js';

export function isSound(value: Container): boolean {
  if (value instanceof StreamValue) return value.isSound;
  if (value.size === 0) return false;
  if (value instanceof HashValue) return areDifferent(value.fields);
  if (value instanceof SetValue) return areDifferent(value.members);
  if (value instanceof SortedSetValue) return value.isSound;
  return true; // a list holds anything, in any order
}

function areDifferent(members: readonly string[]): boolean {
  return new Set(members).size === members.length;
}
