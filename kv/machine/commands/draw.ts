// Random places of a container, for SRANDMEMBER, SPOP and their kin. Chance comes from the context alone.

import { fail } from './arguments.js';
import type { CommandContext } from './command.js';
import { parseIndex } from './numbers.js';

/** Of a negative count, which may give the same place again and again, so many at most. */
const REPEATING_MAX = 1_000_000;

/** A count of members to draw: negative for one that may repeat itself. */
export function drawCountOf(text: string): number {
  const count = parseIndex(text);
  if (count === null) fail('ERR value is not an integer or out of range');
  if (count < -REPEATING_MAX) fail('ERR value is out of range');
  return count;
}

export function drawRepeating(context: CommandContext, size: number, count: number): number[] {
  return Array.from({ length: count }, () => Math.floor(context.random() * size));
}

/** `count` different places of `size`, or all of them. */
export function drawDistinct(context: CommandContext, size: number, count: number): number[] {
  if (count >= size) return Array.from({ length: size }, (_, place) => place);
  // Floyd's sample: one draw each, however many of how many.
  const drawn = new Set<number>();
  for (let top = size - count; top < size; top += 1) {
    const place = Math.floor(context.random() * (top + 1));
    drawn.add(drawn.has(place) ? top : place);
  }
  return [...drawn];
}
