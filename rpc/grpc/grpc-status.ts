// How a call ended, in gRPC's words and in ours: code, text, details, and what our errors say beyond them.
// Details travel as google.rpc.Status in `grpc-status-details-bin`, for every gRPC library to read; our finer code and
// whether the call was executed travel in a trailer of ours, which others ignore.

import { type Metadata as GrpcMetadata, type StatusObject, status as grpcStatus } from '@grpc/grpc-js';
import protobuf from 'protobufjs/minimal.js';
import {
  codeOfStatus,
  type ErrorDetail,
  type Executed,
  RPC_ERROR_CODES,
  RpcError,
  type RpcErrorCode,
} from '../errors.js';
import { STATUS_DETAILS_BYTES_MAX, STATUS_TEXT_BYTES_MAX } from '../limits.js';
import type { Metadata } from '../metadata.js';
import { statusName } from '../status.js';
import { fromGrpcMetadata, toErrorTrailers } from './grpc-metadata.js';

const DETAILS_KEY = 'grpc-status-details-bin';
const PUSHBACK_KEY = 'grpc-retry-pushback-ms';
/** `<code of ours>` or `<code of ours>;not-executed`. */
const OUR_KEY = 'reactor-net-error';
const NOT_EXECUTED = ';not-executed';

const CODES: ReadonlySet<string> = new Set(RPC_ERROR_CODES);
/** What grpc-js says of a message above a limit, on either side. */
const TOO_LARGE = /larger than max|size larger than/;
/** What grpc-js says of a call that no connection took. */
const NOT_CONNECTED = /(^|: )No connection established/;

/** What grpc-js's server sends. */
export interface GrpcStatus {
  readonly code: grpcStatus;
  readonly details: string;
  readonly metadata: GrpcMetadata;
}

/** @param trailers what the handler set, sent where the error has none of its own */
export function statusOfError(
  error: RpcError,
  trailers: Metadata | null,
  executed: Executed = error.executed,
): GrpcStatus {
  const code = grpcStatus[error.status];
  const details = cutText(error.message);
  const metadata = toErrorTrailers(error.trailers ?? trailers);
  if (error.details.length > 0) {
    const bytes = encodeDetails(code, details, error.details);
    if (bytes.length <= STATUS_DETAILS_BYTES_MAX) metadata.set(DETAILS_KEY, bytes);
  }
  if (error.retryPushbackMs !== null) metadata.set(PUSHBACK_KEY, String(Math.trunc(error.retryPushbackMs)));
  metadata.set(OUR_KEY, error.code + (executed === 'no' ? NOT_EXECUTED : ''));
  return { code, details, metadata };
}

/** The error of a status other than OK. */
export function errorOfStatus({ code, details, metadata }: StatusObject): RpcError {
  const ours = String(metadata.get(OUR_KEY)[0] ?? '');
  const trailers = fromGrpcMetadata(metadata);
  trailers.delete(OUR_KEY);
  const pushback = metadata.get(PUSHBACK_KEY)[0];
  const isUnsent = code === grpcStatus.UNAVAILABLE && NOT_CONNECTED.test(details);
  const executed: Executed = isUnsent || ours.endsWith(NOT_EXECUTED) ? 'no' : 'unknown';
  return new RpcError(codeOf(code, details, isUnsent, ours.replace(NOT_EXECUTED, '')), details, {
    executed,
    details: decodeDetails(metadata.get(DETAILS_KEY)[0]),
    ...(trailers.size === 0 ? {} : { trailers }),
    ...(pushback === undefined ? {} : { retryPushbackMs: pushbackOf(String(pushback)) }),
  });
}

/** What the server said beside OK. */
export function trailersOf({ metadata }: StatusObject): Metadata {
  return fromGrpcMetadata(metadata);
}

function codeOf(status: grpcStatus, text: string, isUnsent: boolean, ours: string): RpcErrorCode {
  if (CODES.has(ours)) {
    const code = ours as RpcErrorCode; // it is in the list
    if (new RpcError(code, '').status === statusName(status)) return code;
  }
  if (isUnsent) return 'RPC_CONNECT_FAILED';
  if (status === grpcStatus.RESOURCE_EXHAUSTED && TOO_LARGE.test(text)) return 'RPC_MESSAGE_TOO_LARGE';
  return codeOfStatus(status);
}

/** gRPC: what is no number forbids another attempt. */
function pushbackOf(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : -1;
}

// google.rpc.Status: int32 code 1, string message 2, repeated google.protobuf.Any details 3.
// google.protobuf.Any: string type_url 1, bytes value 2.

function encodeDetails(code: number, message: string, details: readonly ErrorDetail[]): Buffer {
  const writer = protobuf.Writer.create().uint32(8).int32(code).uint32(18).string(message);
  for (const { typeUrl, value } of details)
    writer.uint32(26).fork().uint32(10).string(typeUrl).uint32(18).bytes(value).ldelim();
  return Buffer.from(writer.finish());
}

/** Bytes that are no google.rpc.Status are no details: the status itself still counts. */
function decodeDetails(bytes: string | Buffer | undefined): ErrorDetail[] {
  if (!(bytes instanceof Uint8Array)) return [];
  const details: ErrorDetail[] = [];
  try {
    const reader = protobuf.Reader.create(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 26) details.push(decodeAny(reader, reader.uint32()));
      else reader.skipType(tag & 7);
    }
  } catch {
    return []; // protobufjs throws errors of many kinds on bytes that are cut or foreign
  }
  return details;
}

function decodeAny(reader: protobuf.Reader, length: number): ErrorDetail {
  const end = reader.pos + length;
  let typeUrl = '';
  let value: Uint8Array = new Uint8Array(0);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) typeUrl = reader.string();
    else if (tag === 18) value = Uint8Array.from(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return { typeUrl, value };
}

/** Well-formed, because grpc-js cannot send a lone surrogate, and no longer than a header may be. */
function cutText(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= STATUS_TEXT_BYTES_MAX) return bytes.toString();
  let end = STATUS_TEXT_BYTES_MAX;
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1; // not inside a character
  return bytes.toString('utf8', 0, end);
}
