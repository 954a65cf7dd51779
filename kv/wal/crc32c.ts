// CRC-32C (Castagnoli), eight bytes a step by tables. Software: Node's zlib.crc32 computes another polynomial, and for
// records of a few hundred bytes a native call costs as much as it saves.

const TABLES: readonly Uint32Array[] = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/** Of `bytes[start, end)`, going on from `seed`, the CRC of what comes before (0 for nothing). Unsigned 32 bits. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length, seed = 0): number {
  let crc = ~seed;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      T7[low & 0xff]! ^
      T6[(low >>> 8) & 0xff]! ^
      T5[(low >>> 16) & 0xff]! ^
      T4[low >>> 24]! ^
      T3[bytes[at + 4]!]! ^
      T2[bytes[at + 5]!]! ^
      T1[bytes[at + 6]!]! ^
      T0[bytes[at + 7]!]!;
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}

function makeTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    tables[0]![byte] = crc;
  }
  for (let step = 1; step < 8; step += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const crc = tables[step - 1]![byte]!;
      tables[step]![byte] = (crc >>> 8) ^ tables[0]![crc & 0xff]!;
    }
  }
  return tables;
}
