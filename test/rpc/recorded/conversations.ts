// The conversations that are recorded and that docs/rpc-wire.md shows: what the client of each sends, against demo.Echo.
// record.ts plays them to a server of ours and keeps both sides; nothing here may change what an old recording says.

import { Metadata, RpcError } from '../../../rpc/index.js';
import { FLAG_END, FLAG_MORE } from '../../../rpc/wire/frame-types.js';
import * as wire from '../support/wire-frames.js';
import type { WireFrame } from '../support/wire-frames.js';

export interface Conversation {
  readonly name: string;
  readonly title: string;
  /** Frames are sent one by one; the server says all it has to say in between. */
  readonly client: readonly WireFrame[];
}

const utf8 = (text: string): Buffer => Buffer.from(text);
/** `text` in field 1 of a protobuf message. */
const said = (text: string): Buffer => Buffer.concat([Buffer.from([0x0a, text.length]), utf8(text)]);

export const CONVERSATIONS: readonly Conversation[] = [
  {
    name: 'unary',
    title: 'a unary call with a deadline of one second',
    client: [wire.hello(), wire.request(1, '/demo.Echo/Say', said('hello'), FLAG_END, { timeoutMs: 1000 })],
  },
  {
    name: 'unary-json',
    title: 'the same in JSON, with metadata',
    client: [
      wire.hello({ serializers: ['json'] }),
      wire.request(1, '/demo.Echo/Say', utf8('{"text":"hello"}'), FLAG_END, {
        metadata: Metadata.from({ 'x-name': 'ada', 'x-id-bin': Buffer.from([0, 255]) }),
      }),
    ],
  },
  {
    name: 'server-stream',
    title: 'two answers to one request',
    client: [
      wire.hello(),
      wire.request(1, '/demo.Echo/List', Buffer.concat([said('n'), Buffer.from([0x10, 2])]), FLAG_END),
    ],
  },
  {
    name: 'client-stream',
    title: 'two requests, the second one in two parts, and one answer',
    client: [
      wire.hello(),
      wire.request(1, '/demo.Echo/Upload', null, 0),
      wire.data(1, Buffer.from([0x1a, 2, 1, 2])),
      wire.data(1, Buffer.concat([Buffer.from([5, 0, 0, 0]), Buffer.from([0x1a, 3, 1])]), FLAG_MORE),
      wire.data(1, Buffer.from([2, 3]), FLAG_END),
    ],
  },
  {
    name: 'bidi-stream',
    title: 'both sides send while the other one does',
    client: [
      wire.hello(),
      wire.request(1, '/demo.Echo/Chat', said('one'), 0),
      wire.data(1, said('two')),
      wire.end(1),
    ],
  },
  {
    name: 'unknown-method',
    title: 'a call that surely was not carried out',
    client: [wire.hello(), wire.request(1, '/demo.Echo/Shout', said('hello'), FLAG_END)],
  },
  {
    name: 'bad-request',
    title: 'a request that is no message of its type; the connection goes on',
    client: [
      wire.hello(),
      wire.request(1, '/demo.Echo/Say', Buffer.from([0x0a, 200]), FLAG_END),
      wire.request(2, '/demo.Echo/Say', said('hello'), FLAG_END),
    ],
  },
  {
    name: 'cancel',
    title: 'a call is cancelled, and the connection is asked whether it lives',
    client: [
      wire.hello(),
      wire.request(1, '/demo.Echo/Chat', null, 0),
      wire.cancel(1, 1, 'not needed any more'),
      wire.ping('\u0001\0\0\0\0\0\0\0'),
    ],
  },
  {
    name: 'version',
    title: 'a client that speaks only later versions is sent away',
    client: [wire.hello({ version: 3, versionMin: 2 })],
  },
  {
    name: 'protocol',
    title: 'DATA for a stream that was never opened ends the connection',
    client: [wire.hello(), wire.data(1, said('hello'))],
  },
];

/** Frames that those conversations do not bring about. */
export const FRAMES: readonly (readonly [name: string, from: 'client' | 'server', frame: WireFrame])[] = [
  ['hello-token', 'client', wire.hello({ token: 's3cret', serializers: ['json', 'protobuf'] })],
  [
    'headers-repeated',
    'client',
    wire.request(7, '/demo.Echo/Say', null, 0, {
      timeoutMs: 4_294_967_295,
      previousAttempts: 3,
      callFlags: 1,
    }),
  ],
  [
    'headers-response',
    'server',
    wire.responseHeaders(7, Metadata.from({ 'x-first': 'yes', 'x-a-bin': Buffer.from([1]) })),
  ],
  ['headers-empty', 'server', wire.responseHeaders(7, new Metadata())],
  ['status-ok', 'server', wire.ok(7, said('hello'), Metadata.from({ 'x-last': 'yes' }))],
  [
    'status-error',
    'server',
    wire.failed(
      7,
      new RpcError('RPC_NOT_FOUND', 'no such jöb', {
        details: [{ typeUrl: 'type.googleapis.com/demo.Why', value: new Uint8Array([10, 1, 120]) }],
        trailers: Metadata.from({ 'x-why': 'gone' }),
      }),
    ),
  ],
  [
    'status-draining',
    'server',
    wire.failed(
      7,
      new RpcError('RPC_SHUTTING_DOWN', 'the server is shutting down', {
        executed: 'no',
        retryPushbackMs: 250,
      }),
    ),
  ],
  [
    'status-never-again',
    'server',
    wire.failed(7, new RpcError('RPC_RESOURCE_EXHAUSTED', 'full', { retryPushbackMs: -1 })),
  ],
  ['window-stream', 'client', wire.windowOf(7, 131_072)],
  ['window-connection', 'server', wire.windowOf(0, 8_388_608)],
  [
    'goaway-drain',
    'server',
    wire.goaway({ lastStreamId: 41, reason: 0, text: 'the server is shutting down', drainMs: 30_000 }),
  ],
  ['data-compressed', 'client', wire.data(7, Buffer.concat([Buffer.from([4, 0, 0, 0]), GZIPPED()]), 4)],
];

/** 'aaaa' as one gzip made it, once and for all. */
function GZIPPED(): Buffer {
  return Buffer.from('H4sIAAAAAAAEA0tMTEwEAEXlmK0EAAAA', 'base64');
}
