// `node dist/test/rpc/recorded/annotate.js FILE…`: prints recordings as docs/rpc-wire.md shows them, field by field.

import { readFileSync } from 'node:fs';

import { FLAG_MESSAGE, FRAME } from '../../../rpc/wire/frame-types.js';
import { framesOf } from '../support/wire-frames.js';
import type { RecordedFrame, Recording } from './record.js';

const HEX_BYTES_PER_LINE = 16;

type Line = readonly [bytes: Buffer, meaning: string];

/** One frame, one field a line. */
export function annotated({ from, type, hex }: RecordedFrame): string {
  const wire = Buffer.from(hex, 'hex');
  const lines: Line[] = [];
  let at = 0;
  const take = (bytes: number, meaning: string): Buffer => {
    const field = wire.subarray(at, at + bytes);
    at += bytes;
    if (bytes > 0) lines.push([field, meaning]);
    return field;
  };
  const number = (bytes: number, meaning: string): number => {
    const value = wire.readUIntLE(at, bytes);
    take(bytes, `${meaning} ${value}`);
    return value;
  };
  const text = (bytes: number, meaning: string): void => {
    take(bytes, `${meaning} "${wire.toString('utf8', at, at + bytes)}"`);
  };
  take(4, `message id 0x${wire.readUInt32LE(0).toString(16)}, ${type}`);
  number(4, 'bytes of the body:');
  const flags = number(1, 'flags');
  take(3, 'zero');
  number(4, 'stream');
  const message = (): void => {
    if ((flags & FLAG_MESSAGE) !== 0) take(wire.length - at, 'the message');
  };
  switch (framesOf(wire)[0]!.msgId) {
    case FRAME.HELLO:
      take(4, '"RNRP"');
      number(2, 'version');
      number(2, 'versionMin');
      while (at < wire.length) {
        const tag = wire.readUInt16LE(at);
        const bytes = wire.readUInt16LE(at + 2);
        const value = wire.subarray(at + 4, at + 4 + bytes);
        const shown = tag <= 5 || tag === 8 ? value.readUInt32LE(0) : `"${value.toString()}"`;
        take(4 + bytes, `tag ${tag}, ${bytes} bytes: ${HELLO_FIELDS[tag]} ${shown}`);
      }
      break;
    case FRAME.HEADERS: {
      let path = 0;
      if (from === 'client') {
        number(4, 'timeoutMs');
        number(1, 'previousAttempts');
        number(1, 'callFlags');
        path = number(2, 'bytes of the path:');
      }
      const block = number(4, 'bytes of the metadata:');
      text(path, 'path');
      if (block > 0) {
        const entries = number(2, 'entries:');
        for (let entry = 0; entry < entries; entry += 1) {
          const key = number(1, 'bytes of the key:');
          const value = number(2, 'bytes of the value:');
          text(key, 'key');
          take(value, 'value');
        }
      }
      message();
      break;
    }
    case FRAME.STATUS: {
      number(1, 'status');
      number(1, 'statusFlags');
      number(2, 'reason');
      number(4, 'pushbackMs');
      const texts = number(4, 'bytes of the text:');
      const details = number(4, 'bytes of the details:');
      const trailers = number(4, 'bytes of the trailers:');
      text(texts, 'text');
      take(details, 'details');
      take(trailers, 'trailers');
      message();
      break;
    }
    case FRAME.CANCEL:
      number(1, 'status');
      take(1, 'zero');
      text(number(2, 'bytes of the text:'), 'text');
      break;
    case FRAME.GOAWAY: {
      number(4, 'lastStreamId');
      number(2, 'reason');
      const texts = number(2, 'bytes of the text:');
      number(4, 'drainMs');
      text(texts, 'text');
      break;
    }
    case FRAME.WINDOW:
      number(4, 'bytes of credit:');
      break;
    case FRAME.PING:
    case FRAME.PONG:
      take(8, 'token');
      break;
    default:
      take(wire.length - at, 'payload');
  }
  return [`${from} ${type}`, ...lines.flatMap(shown)].join('\n');
}

const HELLO_FIELDS: Readonly<Record<number, string>> = {
  1: 'messageBytesMax',
  2: 'metadataBytesMax',
  3: 'streamWindowBytes',
  4: 'connectionWindowBytes',
  5: 'streamsMax',
  6: 'serializers',
  7: 'compressions',
  8: 'pingIntervalMsMin',
  9: 'token',
  10: 'agent',
};

function shown([bytes, meaning]: Line): string[] {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_BYTES_PER_LINE) {
    const row = bytes.subarray(at, at + HEX_BYTES_PER_LINE);
    const hex = row.toString('hex').replaceAll(/(..)(?=.)/g, '$1 ');
    rows.push(at === 0 ? `  ${hex.padEnd(3 * HEX_BYTES_PER_LINE)} # ${meaning}` : `  ${hex}`);
  }
  return rows;
}

const [, program, ...files] = process.argv;
if (program !== undefined && import.meta.filename === program) {
  for (const file of files) {
    const { frames } = JSON.parse(readFileSync(file, 'utf8')) as Recording; // record.ts wrote it
    console.log(frames.map(annotated).join('\n\n'));
  }
}
