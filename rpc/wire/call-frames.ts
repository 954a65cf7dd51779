// HEADERS and STATUS: the frames that open and end a call. A unary call whose messages are short is one of each.
// Pure. client-session.ts and server-session.ts write and read them; every size is judged before anything is made of it.
//
// HEADERS of a client: timeoutMs u32 | previousAttempts u8 | callFlags u8 | pathBytes u16 | metadataBytes u32
//   | path | metadata | message, if FLAG_MESSAGE
// HEADERS of a server: metadataBytes u32 | metadata
// STATUS: status u8 | statusFlags u8 | reason u16 | pushbackMs i32 | textBytes u32 | detailsBytes u32 | trailersBytes u32
//   | text | details | trailers | message, if FLAG_MESSAGE
// Details: per detail typeUrlBytes u16 | valueBytes u32 | typeUrl | value.

import type { EncodedMessage } from '../contract.js';
import { codeOfStatus, type ErrorDetail, type Executed, RpcError, type RpcErrorCode } from '../errors.js';
import {
  FRAME_HEAD_BYTES,
  METADATA_BYTES_MAX,
  PATH_BYTES_MAX,
  STATUS_DETAILS_BYTES_MAX,
  STATUS_TEXT_BYTES_MAX,
} from '../limits.js';
import type { Metadata } from '../metadata.js';
import { STATUS } from '../status.js';
import type { FrameBuilder } from './frame-builder.js';
import { FrameReader } from './frame-reader.js';
import { checkMetadata, fits, metadataBytes, readMetadata, writeMetadata } from './metadata-block.js';

/** callFlags: this call was made on behalf of one that is itself a repetition; do not multiply. */
export const CALL_NO_RETRY = 1;
/** statusFlags: the call was surely not carried out. */
const STATUS_NOT_EXECUTED = 1;
/** statusFlags: pushbackMs counts. */
const STATUS_PUSHBACK = 2;

const REQUEST_HEAD_BYTES = 12;
const STATUS_HEAD_BYTES = 20;

/** `reason` of a status: the code of ours that is finer than the status. Numbers are never given twice. */
const REASONS: readonly (readonly [number, RpcErrorCode])[] = [
  [1, 'RPC_SHUTTING_DOWN'],
  [2, 'RPC_METHOD_UNKNOWN'],
  [3, 'RPC_MESSAGE_TOO_LARGE'],
  [4, 'RPC_METADATA_TOO_LARGE'],
  [5, 'RPC_TOO_MANY_STREAMS'],
  [6, 'RPC_MESSAGE_INVALID'],
  [7, 'RPC_QUEUE_FULL'],
  [8, 'RPC_RATE_LIMITED'],
  [9, 'RPC_PROTOCOL'],
  [10, 'RPC_VERSION_MISMATCH'],
  [11, 'RPC_NO_INSTANCE'],
  [12, 'RPC_ALL_EJECTED'],
  [13, 'RPC_BREAKER_OPEN'],
];
const CODE_OF_REASON = new Map(REASONS);
const REASON_OF_CODE = new Map(REASONS.map(([reason, code]) => [code, reason]));

/** How a call is opened. */
export interface RequestHead {
  readonly path: string;
  /** 0: no deadline. */
  readonly timeoutMs: number;
  readonly previousAttempts: number;
  readonly callFlags: number;
  readonly metadata: Metadata | null;
}

export interface ReceivedRequest extends RequestHead {
  /** Where the message begins in the body; what follows belongs to it. */
  readonly messageAt: number;
}

export function writeRequest(
  builder: FrameBuilder,
  flags: number,
  streamId: number,
  head: RequestHead,
  message: EncodedMessage | null,
): void {
  const { path, metadata } = head;
  const blockBytes = metadataBytes(metadata);
  builder
    .begin(flags, streamId)
    .u32(head.timeoutMs)
    .u8(head.previousAttempts)
    .u8(head.callFlags)
    .u16(path.length)
    .u32(blockBytes)
    .ascii(path);
  if (blockBytes > 0) writeMetadata(builder, metadata!);
  if (message !== null) builder.message(message);
}

/** @throws RpcError RPC_PROTOCOL: the connection is lost; RPC_METADATA_TOO_LARGE, RPC_INVALID_ARGUMENT: the call is */
export function readRequest(body: Buffer, metadataBytesMax: number): ReceivedRequest {
  if (body.length < FRAME_HEAD_BYTES + REQUEST_HEAD_BYTES) throw tooShort('HEADERS');
  const timeoutMs = body.readUInt32LE(8);
  const pathBytes = body.readUInt16LE(14);
  const blockBytes = body.readUInt32LE(16);
  const pathAt = FRAME_HEAD_BYTES + REQUEST_HEAD_BYTES;
  const blockAt = pathAt + pathBytes;
  const messageAt = blockAt + blockBytes;
  if (pathBytes > PATH_BYTES_MAX || messageAt > body.length) throw tooShort('HEADERS');
  if (blockBytes > metadataBytesMax) {
    throw new RpcError(
      'RPC_METADATA_TOO_LARGE',
      `request metadata has ${blockBytes} bytes, the server's limit is ${metadataBytesMax}`,
      { executed: 'no' },
    );
  }
  return {
    path: body.toString('latin1', pathAt, blockAt),
    timeoutMs,
    previousAttempts: body[12]!,
    callFlags: body[13]!,
    metadata: blockBytes === 0 ? null : readMetadata(body.subarray(blockAt, messageAt)),
    messageAt,
  };
}

export function writeResponseHeaders(builder: FrameBuilder, streamId: number, headers: Metadata): void {
  const blockBytes = metadataBytes(headers);
  builder.begin(0, streamId).u32(blockBytes);
  if (blockBytes > 0) writeMetadata(builder, headers);
}

/** @throws RpcError RPC_PROTOCOL, RPC_METADATA_TOO_LARGE */
export function readResponseHeaders(body: Buffer, metadataBytesMax: number): Metadata {
  const reader = new FrameReader(body, FRAME_HEAD_BYTES, 'HEADERS');
  const blockBytes = reader.u32();
  if (blockBytes > metadataBytesMax) throw answerTooLarge('headers', blockBytes, metadataBytesMax);
  return readMetadata(reader.view(blockBytes));
}

/** The end of a call that went well. */
export function writeOk(
  builder: FrameBuilder,
  flags: number,
  streamId: number,
  trailers: Metadata | null,
  message: EncodedMessage | null,
): void {
  const trailersBytes = metadataBytes(trailers);
  builder.begin(flags, streamId).u32(0).u32(0).u32(0).u32(0).u32(trailersBytes);
  if (trailersBytes > 0) writeMetadata(builder, trailers!);
  if (message !== null) builder.message(message);
}

export interface ErrorLimits {
  /** What is said about whether the call was carried out. */
  readonly executed: Executed;
  /** What the client takes. */
  readonly trailersBytesMax: number;
}

/**
 * The end of a call that failed. What is too long of it is left out: an error must arrive.
 * @param limits default: what the error says, and what every client takes that says nothing else
 */
export function writeError(
  builder: FrameBuilder,
  streamId: number,
  error: RpcError,
  trailers: Metadata | null,
  limits: ErrorLimits = { executed: error.executed, trailersBytesMax: METADATA_BYTES_MAX },
): void {
  const text = cutText(error.message);
  const details = fittingDetails(error.details);
  const detailsBytes = details.reduce((sum, detail) => sum + detailBytes(detail), 0);
  const trailersBytes =
    trailers !== null && fits(trailers, limits.trailersBytesMax) ? metadataBytes(trailers) : 0;
  const { retryPushbackMs: pushbackMs } = error;
  const statusFlags =
    (limits.executed === 'no' ? STATUS_NOT_EXECUTED : 0) | (pushbackMs === null ? 0 : STATUS_PUSHBACK);
  builder
    .begin(0, streamId)
    .u8(STATUS[error.status])
    .u8(statusFlags)
    .u16(REASON_OF_CODE.get(error.code) ?? 0)
    .u32(pushbackMs === null ? 0 : Math.max(-1, Math.min(pushbackMs, 0x7fffffff)))
    .u32(text.length)
    .u32(detailsBytes)
    .u32(trailersBytes)
    .bytes(text);
  for (const { typeUrl, value } of details) {
    const url = Buffer.from(typeUrl);
    builder.u16(url.length).u32(value.length).bytes(url).bytes(value);
  }
  if (trailersBytes > 0) writeMetadata(builder, trailers!);
}

export interface ReceivedStatus {
  /** Null when the call went well. */
  readonly error: RpcError | null;
  readonly trailers: Metadata | null;
  /** Where the message begins in the body. */
  readonly messageAt: number;
}

/** @throws RpcError RPC_PROTOCOL, RPC_METADATA_TOO_LARGE */
export function readStatus(body: Buffer, metadataBytesMax: number): ReceivedStatus {
  if (body.length < FRAME_HEAD_BYTES + STATUS_HEAD_BYTES) throw tooShort('STATUS');
  const status = body[8]!;
  const textBytes = body.readUInt32LE(16);
  const detailsBytes = body.readUInt32LE(20);
  const trailersBytes = body.readUInt32LE(24);
  const textAt = FRAME_HEAD_BYTES + STATUS_HEAD_BYTES;
  const trailersAt = textAt + textBytes + detailsBytes;
  const messageAt = trailersAt + trailersBytes;
  if (messageAt > body.length) throw tooShort('STATUS');
  if (trailersBytes > metadataBytesMax) throw answerTooLarge('trailers', trailersBytes, metadataBytesMax);
  const trailers = trailersBytes === 0 ? null : readMetadata(body.subarray(trailersAt, messageAt));
  if (status === STATUS.OK) return { error: null, trailers, messageAt };
  const statusFlags = body[9]!;
  const executed: Executed = (statusFlags & STATUS_NOT_EXECUTED) === 0 ? 'unknown' : 'no';
  const code = CODE_OF_REASON.get(body.readUInt16LE(10)) ?? codeOfStatus(status);
  const error = new RpcError(code, body.toString('utf8', textAt, textAt + textBytes), {
    executed,
    details: readDetails(body.subarray(textAt + textBytes, trailersAt)),
    ...(trailers === null ? {} : { trailers }),
    ...((statusFlags & STATUS_PUSHBACK) === 0 ? {} : { retryPushbackMs: body.readInt32LE(12) }),
  });
  return { error, trailers, messageAt };
}

/** @throws RpcError RPC_METADATA_TOO_LARGE, RPC_INVALID_ARGUMENT */
export function checkRequestHead(head: RequestHead, metadataBytesMax: number): void {
  if (head.path.length > PATH_BYTES_MAX) {
    throw new RpcError('RPC_INVALID_ARGUMENT', `the path of a method has ${head.path.length} characters`, {
      executed: 'no',
    });
  }
  const { metadata } = head;
  if (metadata !== null) checkMetadata(metadata, metadataBytes(metadata), metadataBytesMax, 'request');
}

function readDetails(block: Buffer): ErrorDetail[] {
  const details: ErrorDetail[] = [];
  const reader = new FrameReader(block, 0, 'STATUS');
  while (reader.left > 0) {
    const urlBytes = reader.u16();
    const valueBytes = reader.u32();
    details.push({ typeUrl: reader.text(urlBytes), value: reader.copy(valueBytes) });
  }
  return details;
}

function detailBytes({ typeUrl, value }: ErrorDetail): number {
  return 6 + Buffer.byteLength(typeUrl) + value.length;
}

function fittingDetails(details: readonly ErrorDetail[]): readonly ErrorDetail[] {
  let bytes = 0;
  return details.filter((detail) => {
    bytes += detailBytes(detail);
    return bytes <= STATUS_DETAILS_BYTES_MAX;
  });
}

/** Whole characters only. */
function cutText(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= STATUS_TEXT_BYTES_MAX) return bytes;
  let end = STATUS_TEXT_BYTES_MAX;
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

function tooShort(frame: string): RpcError {
  return new RpcError('RPC_PROTOCOL', `${frame} frame is shorter than what it announces`);
}

function answerTooLarge(what: string, bytes: number, bytesMax: number): RpcError {
  return new RpcError(
    'RPC_METADATA_TOO_LARGE',
    `response ${what} have ${bytes} bytes, the client's limit is ${bytesMax}`,
  );
}
