// Makes a codec from a description that is plain data, since a codec itself cannot cross threads.
// Servers and clients carry the description; every thread creates its own codec from it.

import type { FrameCodec } from '../codec.js';
import { optionInvalid } from './codec-checks.js';
import { type DelimiterCodecOptions, delimiterCodec } from './delimiter-codec.js';
import { type FixedCodecOptions, fixedCodec } from './fixed-codec.js';
import { type LengthFieldCodecOptions, lengthFieldCodec } from './length-field-codec.js';
import { type LineCodecOptions, lineCodec } from './line-codec.js';
import { type RawCodecOptions, rawCodec } from './raw-codec.js';
import { type TlvCodecOptions, tlvCodec } from './tlv-codec.js';
import { type VarintCodecOptions, varintCodec } from './varint-codec.js';

export type CodecOptions =
  | ({ kind: 'tlv' } & TlvCodecOptions)
  | ({ kind: 'length-field' } & LengthFieldCodecOptions)
  | ({ kind: 'varint' } & VarintCodecOptions)
  | ({ kind: 'delimiter' } & DelimiterCodecOptions)
  | ({ kind: 'line' } & LineCodecOptions)
  | ({ kind: 'fixed' } & FixedCodecOptions)
  | ({ kind: 'raw' } & RawCodecOptions);

/** @throws ReactorError REACTOR_OPTION_INVALID, naming the option and what would be right. */
export function createCodec(options: CodecOptions): FrameCodec {
  switch (options.kind) {
    case 'tlv':
      return tlvCodec(options);
    case 'length-field':
      return lengthFieldCodec(options);
    case 'varint':
      return varintCodec(options);
    case 'delimiter':
      return delimiterCodec(options);
    case 'line':
      return lineCodec(options);
    case 'fixed':
      return fixedCodec(options);
    case 'raw':
      return rawCodec(options);
    default:
      options satisfies never;
      throw optionInvalid(
        "codec option kind must be one of 'tlv', 'length-field', 'varint', 'delimiter', 'line', 'fixed', 'raw'",
      );
  }
}
