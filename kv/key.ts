// Keys: byte strings, held as JavaScript strings with one character per byte (latin1).
// Measured (bench/kv/skip-list.ts): comparing two such strings costs a fraction of Buffer.compare, and a string of n bytes
// takes 16 + n bytes of heap where a Uint8Array takes well over 100. The order of the strings is the order of their bytes.

import { KvError } from './errors.js';

/** The key with these bytes. The result owns its memory: `bytes` may be reused. */
export function keyFromBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/**
 * The bytes of a key.
 * @throws KvError KV_KEY_INVALID: a character is above 0xff, so that `key` stands for no byte string.
 */
export function keyToBytes(key: string): Buffer {
  // Text beyond latin1 would lose its high bytes without a word.
  for (let index = 0; index < key.length; index += 1) {
    if (key.charCodeAt(index) > 0xff) {
      throw new KvError(
        'KV_KEY_INVALID',
        `character ${index} of the key is above 0xff: encode text as UTF-8`,
      );
    }
  }
  return Buffer.from(key, 'latin1');
}

/** The key of a text: its UTF-8 bytes. */
export function keyFromText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The least key above every key that starts with `prefix`; null when there is none (empty or all 0xff). */
export function prefixEnd(prefix: string): string | null {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) >= 0xff) length -= 1;
  if (length === 0) return null;
  return prefix.slice(0, length - 1) + String.fromCharCode(prefix.charCodeAt(length - 1) + 1);
}
