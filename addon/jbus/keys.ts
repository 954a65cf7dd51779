// Which System V key a pair of nodes shares: the same from (a, b) and (b, a), no two pairs alike, never 0.
// The pair's key is even and carries one direction, its twin `key + 1` the other. Pure; shm-manager.ts makes the segments.
// Keys are advisory: whoever attaches compares the channel's hash and epoch as well.

import { JbusError } from './errors.js';

/** The largest node id: the triangular index of two ids then fits the 23 bits of a key. */
export const NODE_ID_MAX = 4094;
const INDEX_COUNT = 2 ** 23;
const KEY_BASE = 0x4a000000; // 'J'

/**
 * The even key of the pair. `namespace` keeps several applications of one machine apart: it shifts all indexes, so
 * pairs of one namespace never collide, and two namespaces only where their ranges overlap.
 * @throws JbusError JBUS_INVALID_ARGUMENT: an id is not an integer from 0 to NODE_ID_MAX.
 */
export function pairKey(a: number, b: number, namespace = 0): number {
  assertInteger('node id', a, NODE_ID_MAX);
  assertInteger('node id', b, NODE_ID_MAX);
  assertInteger('namespace', namespace, INDEX_COUNT - 1);
  const low = Math.min(a, b);
  const high = Math.max(a, b);
  const index = ((high * (high + 1)) / 2 + low + namespace) % INDEX_COUNT;
  return KEY_BASE + index * 2;
}

/** The key of the other direction. */
export function twinKey(key: number): number {
  return key % 2 === 0 ? key + 1 : key - 1;
}

/** Whether the key is one that pairKey, or a twin of it, can be. */
export function isJbusKey(key: number): boolean {
  return key >= KEY_BASE && key < KEY_BASE + INDEX_COUNT * 2;
}

/** `0x4a000002`: how keys are written in messages, and in the names of doorbell sockets. */
export function keyText(key: number): string {
  return `0x${(key >>> 0).toString(16).padStart(8, '0')}`;
}

/** FNV-1a over the name's UTF-8, 64 bits, of which 53 are kept so that every language can hold it exactly. */
export function channelHash(name: string): number {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(name, 'utf8')) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return Number(BigInt.asUintN(53, hash));
}

function assertInteger(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new JbusError(
    'JBUS_INVALID_ARGUMENT',
    `${name} must be an integer from 0 to ${max}, not ${String(value)}`,
  );
}
