// Frames of the RPC protocol as a test writes and reads them: one function per frame, on the product's own encoders,
// and back again byte for byte. Bodies here are copies that a test may keep.

import type { EncodedMessage } from '../../../rpc/contract.js';
import type { RpcError } from '../../../rpc/errors.js';
import type { Metadata } from '../../../rpc/metadata.js';
import {
  readRequest,
  readResponseHeaders,
  readStatus,
  type RequestHead,
  writeError,
  writeOk,
  writeRequest,
  writeResponseHeaders,
} from '../../../rpc/wire/call-frames.js';
import {
  type Goaway,
  readCancel,
  readGoaway,
  readPing,
  readWindow,
  writeCancel,
  writeGoaway,
  writePing,
  writeWindow,
} from '../../../rpc/wire/control-frames.js';
import { FrameBuilder } from '../../../rpc/wire/frame-builder.js';
import { FLAG_MESSAGE, FRAME } from '../../../rpc/wire/frame-types.js';
import { type Hello, readHello, writeHello } from '../../../rpc/wire/hello.js';

export interface WireFrame {
  readonly msgId: number;
  readonly body: Buffer;
}

const METADATA_BYTES_MAX = 8192;
const BUILDER = new FrameBuilder();

export const CLIENT_HELLO: Hello = {
  version: 1,
  versionMin: 1,
  messageBytesMax: 4_194_304,
  metadataBytesMax: 8192,
  streamWindowBytes: 262_144,
  connectionWindowBytes: 16_777_216,
  streamsMax: 0,
  pingIntervalMsMin: 0,
  serializers: ['protobuf'],
  compressions: ['gzip'],
  token: '',
  agent: 'test',
};

export function frameName(msgId: number): string {
  return Object.entries(FRAME).find(([, id]) => id === msgId)?.[0] ?? `0x${msgId.toString(16)}`;
}

export function hello(changes: Partial<Hello> = {}): WireFrame {
  writeHello(BUILDER, { ...CLIENT_HELLO, ...changes });
  return built(FRAME.HELLO);
}

export function request(
  streamId: number,
  path: string,
  message: Uint8Array | null,
  flags: number,
  head: Partial<RequestHead> = {},
): WireFrame {
  const whole = { timeoutMs: 0, previousAttempts: 0, callFlags: 0, metadata: null, ...head, path };
  writeRequest(
    BUILDER,
    message === null ? flags : flags | FLAG_MESSAGE,
    streamId,
    whole,
    message === null ? null : encoded(message),
  );
  return built(FRAME.HEADERS);
}

export function responseHeaders(streamId: number, headers: Metadata): WireFrame {
  writeResponseHeaders(BUILDER, streamId, headers);
  return built(FRAME.HEADERS);
}

export function data(streamId: number, payload: Uint8Array, flags: number = 0): WireFrame {
  BUILDER.begin(flags, streamId).bytes(payload);
  return built(FRAME.DATA);
}

export function end(streamId: number): WireFrame {
  BUILDER.begin(0, streamId);
  return built(FRAME.END);
}

export function ok(
  streamId: number,
  message: Uint8Array | null,
  trailers: Metadata | null = null,
): WireFrame {
  const flags = message === null ? 0 : FLAG_MESSAGE;
  writeOk(BUILDER, flags, streamId, trailers, message === null ? null : encoded(message));
  return built(FRAME.STATUS);
}

export function failed(streamId: number, error: RpcError): WireFrame {
  writeError(BUILDER, streamId, error, error.trailers);
  return built(FRAME.STATUS);
}

export function cancel(streamId: number, status: number, text: string): WireFrame {
  writeCancel(BUILDER, streamId, status, text);
  return built(FRAME.CANCEL);
}

export function windowOf(streamId: number, bytes: number): WireFrame {
  writeWindow(BUILDER, streamId, bytes);
  return built(FRAME.WINDOW);
}

export function ping(token: string, msgId: number = FRAME.PING): WireFrame {
  writePing(BUILDER, Buffer.from(token.padEnd(8, '.')).subarray(0, 8));
  return built(msgId);
}

export function goaway(fields: Goaway): WireFrame {
  writeGoaway(BUILDER, fields);
  return built(FRAME.GOAWAY);
}

/** As it goes over TCP. */
export function tlv({ msgId, body }: WireFrame): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(msgId, 0);
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body]);
}

/** Takes a wire of whole frames apart. */
export function framesOf(wire: Buffer): WireFrame[] {
  const frames: WireFrame[] = [];
  for (let at = 0; at < wire.length; ) {
    const bytes = wire.readUInt32LE(at + 4);
    frames.push({ msgId: wire.readUInt32LE(at), body: wire.subarray(at + 8, at + 8 + bytes) });
    at += 8 + bytes;
  }
  return frames;
}

/** Decodes a frame with the product's decoders and encodes what came of it again. */
export function reencoded({ msgId, body }: WireFrame, from: 'client' | 'server'): WireFrame {
  const flags = body[0]!;
  const streamId = body.readUInt32LE(4);
  const inline = (at: number): Uint8Array | null => ((flags & FLAG_MESSAGE) === 0 ? null : body.subarray(at));
  switch (msgId) {
    case FRAME.HELLO:
      return hello(readHello(body));
    case FRAME.HEADERS: {
      if (from === 'server') return responseHeaders(streamId, readResponseHeaders(body, METADATA_BYTES_MAX));
      const { messageAt, ...head } = readRequest(body, METADATA_BYTES_MAX);
      return request(streamId, head.path, inline(messageAt), flags, head);
    }
    case FRAME.DATA:
      return data(streamId, body.subarray(8), flags);
    case FRAME.END:
      return end(streamId);
    case FRAME.STATUS: {
      const { error, trailers, messageAt } = readStatus(body, METADATA_BYTES_MAX);
      return error === null ? ok(streamId, inline(messageAt), trailers) : failed(streamId, error);
    }
    case FRAME.CANCEL: {
      const { status, text } = readCancel(body);
      return cancel(streamId, status, text);
    }
    case FRAME.WINDOW:
      return windowOf(streamId, readWindow(body));
    case FRAME.PING:
    case FRAME.PONG:
      return ping(readPing(body).toString('latin1'), msgId);
    case FRAME.GOAWAY:
      return goaway(readGoaway(body));
    default:
      return { msgId, body };
  }
}

function encoded(message: Uint8Array): EncodedMessage {
  return { bytes: message.length, writeTo: (target, offset) => target.set(message, offset) };
}

function built(msgId: number): WireFrame {
  return { msgId, body: Buffer.from(BUILDER.body()) };
}
