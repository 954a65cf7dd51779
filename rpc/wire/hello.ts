// HELLO, the first frame of either side: who speaks which versions, with which limits and serializers, by which right.
// Payload: magic u32 | version u16 | versionMin u16, then fields tag u16 | bytes u16 | value; unknown tags are passed over.
// Pure. session.ts sends and judges it; nothing but HELLO is sent before the other side's has come.

import { SERIALIZERS, type SerializerName } from '../contract.js';
import { RpcError } from '../errors.js';
import {
  CONNECTION_WINDOW_BYTES,
  FRAME_HEAD_BYTES,
  MESSAGE_BYTES_MAX,
  METADATA_BYTES_MAX,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
  WINDOW_BYTES_MAX,
  WINDOW_BYTES_MIN,
} from '../limits.js';
import type { FrameBuilder } from './frame-builder.js';
import { FrameReader } from './frame-reader.js';
import { MAGIC, VERSION, VERSION_MIN } from './frame-types.js';

export interface Hello {
  readonly version: number;
  readonly versionMin: number;
  /** What this side is willing to receive. */
  readonly messageBytesMax: number;
  readonly metadataBytesMax: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Calls the other side may have open; a client says 0. */
  readonly streamsMax: number;
  /** Client: those it can use, the preferred one first. Server: the one both will use. */
  readonly serializers: readonly SerializerName[];
  /** Compressions this side can undo. */
  readonly compressions: readonly string[];
  /** Shortest time between two pings that this side puts up with. */
  readonly pingIntervalMsMin: number;
  /** The client's right to be here; '' when it shows none. */
  readonly token: string;
  /** Program and version, for people. */
  readonly agent: string;
}

const TAG = {
  messageBytesMax: 1,
  metadataBytesMax: 2,
  streamWindowBytes: 3,
  connectionWindowBytes: 4,
  streamsMax: 5,
  serializers: 6,
  compressions: 7,
  pingIntervalMsMin: 8,
  token: 9,
  agent: 10,
} as const;

const NUMBERS = [
  'messageBytesMax',
  'metadataBytesMax',
  'streamWindowBytes',
  'connectionWindowBytes',
  'streamsMax',
  'pingIntervalMsMin',
] as const;
/** What holds where a HELLO says nothing. */
const UNSAID: Readonly<Record<(typeof NUMBERS)[number], number>> = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  metadataBytesMax: METADATA_BYTES_MAX,
  streamWindowBytes: STREAM_WINDOW_BYTES,
  connectionWindowBytes: CONNECTION_WINDOW_BYTES,
  streamsMax: STREAMS_MAX,
  pingIntervalMsMin: 0,
};

/** More than enough for any token, and little to hold for a stranger. */
export const TOKEN_BYTES_MAX = 4096;

export function writeHello(builder: FrameBuilder, hello: Hello): void {
  builder.begin(0, 0).u32(MAGIC).u16(hello.version).u16(hello.versionMin);
  for (const name of NUMBERS) builder.u16(TAG[name]).u16(4).u32(hello[name]);
  writeText(builder, TAG.serializers, hello.serializers.join(','));
  writeText(builder, TAG.compressions, hello.compressions.join(','));
  if (hello.token !== '') writeText(builder, TAG.token, hello.token);
  writeText(builder, TAG.agent, hello.agent);
}

/**
 * @param body the frame's body, head included
 * @throws RpcError RPC_PROTOCOL: not a HELLO of this protocol; RPC_VERSION_MISMATCH: no common version
 */
export function readHello(body: Buffer): Hello {
  const reader = new FrameReader(body, FRAME_HEAD_BYTES, 'HELLO');
  const magic = reader.u32();
  if (magic !== MAGIC) throw new RpcError('RPC_PROTOCOL', 'HELLO does not begin with RNRP');
  const version = reader.u16();
  const versionMin = reader.u16();
  if (version < VERSION_MIN || versionMin > VERSION) {
    throw new RpcError(
      'RPC_VERSION_MISMATCH',
      `the other side speaks versions ${versionMin} to ${version}, we speak ${VERSION_MIN} to ${VERSION}`,
      { executed: 'no' },
    );
  }
  const numbers = new Map<number, number>();
  const texts = new Map<number, string>();
  while (reader.left > 0) {
    const tag = reader.u16();
    const bytes = reader.u16();
    if (NUMBERS.some((name) => TAG[name] === tag)) {
      if (bytes !== 4) throw new RpcError('RPC_PROTOCOL', `field ${tag} of HELLO has ${bytes} bytes, not 4`);
      numbers.set(tag, reader.u32());
    } else if (bytes <= TOKEN_BYTES_MAX) texts.set(tag, reader.text(bytes));
    else reader.view(bytes);
  }
  const number = (name: (typeof NUMBERS)[number]): number => numbers.get(TAG[name]) ?? UNSAID[name];
  const window = (name: 'streamWindowBytes' | 'connectionWindowBytes'): number => {
    const bytes = number(name);
    if (bytes >= WINDOW_BYTES_MIN && bytes <= WINDOW_BYTES_MAX) return bytes;
    const text = `${name} of HELLO is ${bytes}, not from ${WINDOW_BYTES_MIN} to ${WINDOW_BYTES_MAX}`;
    throw new RpcError('RPC_PROTOCOL', text);
  };
  const list = (tag: number): string[] => (texts.get(tag) ?? '').split(',').filter((name) => name !== '');
  return {
    version,
    versionMin,
    messageBytesMax: number('messageBytesMax'),
    metadataBytesMax: Math.min(number('metadataBytesMax'), METADATA_BYTES_MAX), // what a frame has room for
    streamWindowBytes: window('streamWindowBytes'),
    connectionWindowBytes: window('connectionWindowBytes'),
    streamsMax: number('streamsMax'),
    serializers: list(TAG.serializers).filter(isSerializer),
    compressions: list(TAG.compressions),
    pingIntervalMsMin: number('pingIntervalMsMin'),
    token: texts.get(TAG.token) ?? '',
    agent: texts.get(TAG.agent) ?? '',
  };
}

function writeText(builder: FrameBuilder, tag: number, text: string): void {
  const bytes = Buffer.from(text);
  if (bytes.length > TOKEN_BYTES_MAX) {
    const what = `a token or agent of ${bytes.length} bytes is above ${TOKEN_BYTES_MAX}`;
    throw new RpcError('RPC_OPTION_INVALID', what, { executed: 'no' });
  }
  builder.u16(tag).u16(bytes.length).bytes(bytes);
}

function isSerializer(name: string): name is SerializerName {
  return (SERIALIZERS as readonly string[]).includes(name);
}
