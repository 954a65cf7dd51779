// The wire of the greeting, for both sides: a u16 big-endian length, then that much UTF-8 text.

import type { CodecOptions } from 'reactor-net/reactor';

export const FRAMING: CodecOptions = {
  kind: 'length-field',
  lengthBytes: 2,
  byteOrder: 'big',
  frameBytesMax: 1024,
};
