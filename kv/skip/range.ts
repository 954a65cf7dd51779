// What part of an ordered map is asked for, and the walk over leaves that answers.
// The list itself and its views (snapshot-view.ts) are both walked through LeafWalk.

import { prefixEnd } from '../key.js';
import { type Leaf, lowerIndex, upperIndex } from './leaf.js';

export interface Entry<V> {
  readonly key: string;
  readonly value: V;
}

/** Bounds of a range; all of them hold together. None given: everything. */
export interface Range {
  /** Lowest key, itself included. */
  readonly from?: string;
  /** Keys must be above this one: with the last key of a page, the next page. */
  readonly after?: string;
  /** Keys must be below this one. */
  readonly to?: string;
  /** Highest key, itself included: with `reverse`, where to begin. */
  readonly through?: string;
  /** Keys must start with this. */
  readonly prefix?: string;
  /** From the highest key down. Default false. */
  readonly reverse?: boolean;
}

export interface PageOptions extends Range {
  /** Entries at most. Default 1000. */
  readonly limit?: number;
}

export interface Page<V> {
  readonly entries: readonly Entry<V>[];
  /** The range of what is left, null when the page reaches the end. */
  readonly rest: Range | null;
}

/** The narrowest bounds of a range. */
export interface Bounds {
  /** '' for none. */
  readonly low: string;
  /** Whether `low` itself is in the range. */
  readonly lowIncluded: boolean;
  /** null for none. */
  readonly high: string | null;
  readonly highIncluded: boolean;
}

export interface Place<V> {
  readonly leaf: Leaf<V>;
  readonly index: number;
  /** For the walk's own use. */
  readonly at: number;
}

/** Leaves in order, by a number that the walk gives them. No leaf but the first is empty. */
export interface LeafWalk<V> {
  /** The leaf that holds `key` if any does; null for the last leaf. */
  find(key: string | null): number;
  leaf(at: number): Leaf<V>;
  /** -1 at the end. */
  next(at: number): number;
  previous(at: number): number;
}

export function boundsOf(range: Range): Bounds {
  let low = range.from ?? '';
  let lowIncluded = true;
  if (range.prefix !== undefined && range.prefix > low) low = range.prefix;
  if (range.after !== undefined && range.after >= low) {
    low = range.after;
    lowIncluded = false;
  }
  let high: string | null = null;
  let highIncluded = false;
  if (range.through !== undefined) {
    high = range.through;
    highIncluded = true;
  }
  const ends = [range.to ?? null, range.prefix === undefined ? null : prefixEnd(range.prefix)];
  for (const end of ends) {
    if (end === null || (high !== null && end > high)) continue;
    high = end;
    highIncluded = false;
  }
  return { low, lowIncluded, high, highIncluded };
}

/** Where the range begins in the direction asked for; null when it is empty. */
export function startOf<V>(walk: LeafWalk<V>, bounds: Bounds, reverse: boolean): Place<V> | null {
  return reverse ? lastIn(walk, bounds) : firstIn(walk, bounds);
}

/** Gives at most `limit` entries of the range to `take`, in order; false when it stopped with entries left. */
export function walkRange<V>(
  walk: LeafWalk<V>,
  range: Range,
  limit: number,
  take: (key: string, value: V) => void,
): boolean {
  const bounds = boundsOf(range);
  const reverse = range.reverse === true;
  let place = startOf(walk, bounds, reverse);
  let left = limit;
  while (place !== null) {
    const { keys, values } = place.leaf;
    let index = place.index;
    const stop = reverse ? stopDown(keys, bounds) : stopUp(keys, bounds);
    const step = reverse ? -1 : 1;
    for (; index !== stop; index += step) {
      if (left === 0) return false;
      take(keys[index]!, values[index]!);
      left -= 1;
    }
    if (stop !== (reverse ? -1 : keys.length)) return true;
    const at: number = reverse ? walk.previous(place.at) : walk.next(place.at);
    if (at === -1) return true;
    const leaf = walk.leaf(at);
    place = { leaf, index: reverse ? leaf.keys.length - 1 : 0, at };
    if (leaf.keys.length === 0) return true; // only the first leaf may be empty, and it is the last going down
    if (!isWithin(leaf.keys[place.index]!, bounds)) return true;
  }
  return true;
}

export function pageOf<V>(walk: LeafWalk<V>, options: PageOptions): Page<V> {
  const { limit = 1000, ...range } = options;
  const entries: Entry<V>[] = [];
  const done = walkRange(walk, range, limit, (key, value) => entries.push({ key, value }));
  const last = entries.at(-1);
  if (done || last === undefined) return { entries, rest: done ? null : range };
  return { entries, rest: range.reverse === true ? without(range, last.key) : { ...range, after: last.key } };
}

/** The range below `key`, going down. */
function without(range: Range, key: string): Range {
  const { through: _, ...rest } = range;
  return { ...rest, to: key };
}

export function isWithin(key: string, bounds: Bounds): boolean {
  if (bounds.lowIncluded ? key < bounds.low : key <= bounds.low) return false;
  return bounds.high === null || key < bounds.high || (bounds.highIncluded && key === bounds.high);
}

function firstIn<V>(walk: LeafWalk<V>, bounds: Bounds): Place<V> | null {
  let at = walk.find(bounds.low);
  let leaf = walk.leaf(at);
  let index = bounds.lowIncluded ? lowerIndex(leaf.keys, bounds.low) : upperIndex(leaf.keys, bounds.low);
  if (index === leaf.keys.length) {
    at = walk.next(at);
    if (at === -1) return null;
    leaf = walk.leaf(at);
    index = 0;
  }
  return isWithin(leaf.keys[index]!, bounds) ? { leaf, index, at } : null;
}

function lastIn<V>(walk: LeafWalk<V>, bounds: Bounds): Place<V> | null {
  let at = walk.find(bounds.high);
  let leaf = walk.leaf(at);
  let index = stopUp(leaf.keys, bounds) - 1;
  if (index < 0) {
    at = walk.previous(at);
    if (at === -1) return null;
    leaf = walk.leaf(at);
    index = leaf.keys.length - 1;
    if (index < 0) return null;
  }
  return isWithin(leaf.keys[index]!, bounds) ? { leaf, index, at } : null;
}

/** First position above the bounds. */
function stopUp(keys: readonly string[], { high, highIncluded }: Bounds): number {
  const last = keys.at(-1);
  if (high === null || last === undefined || last < high) return keys.length;
  return highIncluded ? upperIndex(keys, high) : lowerIndex(keys, high);
}

/** Last position below the bounds. */
function stopDown(keys: readonly string[], { low, lowIncluded }: Bounds): number {
  if (keys.length === 0 || keys[0]! > low) return -1;
  return (lowIncluded ? lowerIndex(keys, low) : upperIndex(keys, low)) - 1;
}

/** The entry after `place` in the direction asked for; null at the end of the range. */
export function stepOf<V>(
  walk: LeafWalk<V>,
  place: Place<V>,
  bounds: Bounds,
  reverse: boolean,
): Place<V> | null {
  let { leaf, at } = place;
  let index = place.index + (reverse ? -1 : 1);
  if (index === -1 || index === leaf.keys.length) {
    at = reverse ? walk.previous(at) : walk.next(at);
    if (at === -1) return null;
    leaf = walk.leaf(at);
    index = reverse ? leaf.keys.length - 1 : 0;
    if (leaf.keys.length === 0) return null;
  }
  return isWithin(leaf.keys[index]!, bounds) ? { leaf, index, at } : null;
}
