// What a watch looks at: one key, a range, all keys with a prefix, or the children of a path.

import { KvError } from '../errors.js';
import { textFrom } from '../machine/native/outcomes.js';
import { parentOf } from '../machine/native/tree-commands.js';
import type { WatchCreate } from '../proto/kv.js';

export type WatchTarget =
  | { readonly kind: 'key' | 'prefix' | 'children'; readonly text: string }
  | { readonly kind: 'range'; readonly start: string; readonly end: string };

/** @throws KvError KV_REQUEST_INVALID */
export function targetFrom({ key, range, children }: WatchCreate): WatchTarget {
  if (key !== undefined) return { kind: 'key', text: textFrom(key) };
  if (children !== undefined) return { kind: 'children', text: textFrom(children) };
  if (range === undefined) throw new KvError('KV_REQUEST_INVALID', 'a watch must say what it looks at');
  const [start, end, prefix] = [textFrom(range.start), textFrom(range.end), textFrom(range.prefix)];
  if (prefix === '') return { kind: 'range', start, end };
  if (start !== '' || end !== '')
    throw new KvError('KV_REQUEST_INVALID', 'a range has either a prefix or start and end');
  return { kind: 'prefix', text: prefix };
}

export function isTarget(target: WatchTarget, key: string): boolean {
  switch (target.kind) {
    case 'key':
      return key === target.text;
    case 'prefix':
      return key.startsWith(target.text);
    case 'children':
      return parentOf(key) === target.text && !key.endsWith('/');
    case 'range':
      return key >= target.start && (target.end === '' || key < target.end);
    default:
      return target satisfies never;
  }
}
