// MurmurHash3, x86, 32 bits (Austin Appleby's, public domain) over the UTF-8 bytes of a text.
// A published hash, so that a client in another language can send one key to the same instance.

const UTF8 = new TextEncoder();

/** @returns an unsigned 32-bit number */
export function murmur3(text: string, seed = 0): number {
  const length = text.length;
  let hash = seed | 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    const a = text.charCodeAt(at);
    const b = text.charCodeAt(at + 1);
    const c = text.charCodeAt(at + 2);
    const d = text.charCodeAt(at + 3);
    if ((a | b | c | d) > 0x7f) return murmur3Bytes(UTF8.encode(text), seed);
    hash = mixed(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  let tail = 0;
  for (let shift = 0; at < length; at += 1, shift += 8) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return murmur3Bytes(UTF8.encode(text), seed);
    tail |= code << shift;
  }
  return finished(hash ^ scrambled(tail), length);
}

function murmur3Bytes(bytes: Uint8Array, seed: number): number {
  const length = bytes.length;
  let hash = seed | 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    hash = mixed(hash, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  }
  let tail = 0;
  for (let shift = 0; at < length; at += 1, shift += 8) tail |= bytes[at]! << shift;
  return finished(hash ^ scrambled(tail), length);
}

function scrambled(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

function mixed(hash: number, word: number): number {
  const joined = hash ^ scrambled(word);
  return (Math.imul((joined << 13) | (joined >>> 19), 5) + 0xe6546b64) | 0;
}

function finished(hash: number, byteCount: number): number {
  let final = hash ^ byteCount;
  final = Math.imul(final ^ (final >>> 16), 0x85ebca6b);
  final = Math.imul(final ^ (final >>> 13), 0xc2b2ae35);
  return (final ^ (final >>> 16)) >>> 0;
}
