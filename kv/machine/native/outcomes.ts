// The messages of kv.proto as the executor makes them, and the way between their bytes and the machine's strings.
// 64-bit numbers are bigint in messages and plain numbers inside: ids and revisions stay below 2^53.

import { KvError, type KvErrorCode } from '../../errors.js';
import { type KeyValue, Outcome } from '../../proto/kv.js';
import type { MessageInit } from '../../../rpc/index.js';
import { type Bytes, latin1, textOf } from '../bytes.js';
import type { Slot } from '../keyspace.js';
import type { Value } from '../value.js';
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from './native-limits.js';

export type OutcomeInit = MessageInit<Outcome>;
/** What a command says, without the revision. */
export type Result = Omit<OutcomeInit, 'revision'>;
export type KeyValueInit = MessageInit<KeyValue>;

/** Ends a command. Thrown before its first change, so that nothing of it has happened. */
export class NativeFailure extends Error {
  readonly code: KvErrorCode;

  constructor(code: KvErrorCode, message: string) {
    // Taking a stack trace would cost more than the command that fails.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'NativeFailure';
    this.code = code;
  }
}

export function failure(code: KvErrorCode, message: string): Result {
  return { error: { code, message } };
}

export function textFrom(bytes: Uint8Array): string {
  return latin1(bytes, 0, bytes.length);
}

/** A key of a request. @throws NativeFailure KV_REQUEST_INVALID */
export function keyFrom(bytes: Uint8Array): string {
  if (bytes.length === 0) throw new NativeFailure('KV_REQUEST_INVALID', 'the key is empty');
  if (bytes.length > KEY_BYTES_MAX)
    throw new NativeFailure('KV_REQUEST_INVALID', `the key is longer than ${KEY_BYTES_MAX} bytes`);
  return textFrom(bytes);
}

export function bytesFrom(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** A number of a request. @throws NativeFailure KV_REQUEST_INVALID: above `max` */
export function numberFrom(name: string, value: bigint, max: number = Number.MAX_SAFE_INTEGER): number {
  const number = Number(value);
  if (number > max) throw new NativeFailure('KV_REQUEST_INVALID', `${name} is ${value}: at most ${max}`);
  return number;
}

export function isString(value: Value): value is Bytes {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

/** The value of a string key. @throws NativeFailure KV_WRONG_TYPE */
export function stringOf(key: string, slot: Slot): Bytes {
  const { value } = slot;
  if (isString(value)) return value;
  throw new NativeFailure('KV_WRONG_TYPE', `${shown(key)} holds a ${value.type}`);
}

/** @param withValue false: the key and what is known of it */
export function keyValue(key: string, slot: Slot, nowMs: number, withValue: boolean): KeyValueInit {
  const { value, createRevision, version, writes, lease, expireAtMs } = slot;
  const isText = isString(value);
  const isLarge = isText && value.length > VALUE_BYTES_MAX;
  return {
    key: bytesFrom(key),
    value: withValue && isText && !isLarge ? Buffer.from(textOf(value), 'latin1') : NO_BYTES,
    createRevision: BigInt(createRevision),
    modRevision: BigInt(version),
    version: BigInt(writes),
    lease: BigInt(lease),
    ttlMs: expireAtMs === 0 ? 0n : BigInt(expireAtMs - nowMs),
    type: isText ? (isLarge ? 'large' : '') : value.type,
  };
}

const NO_BYTES = new Uint8Array(0);

/** Bytes of a key with its value, as bounds of answers count them. */
export function bytesOf(key: string, slot: Slot, withValue: boolean): number {
  const { value } = slot;
  const shownBytes = withValue && isString(value) && value.length <= VALUE_BYTES_MAX ? value.length : 0;
  return key.length + shownBytes + 32;
}

/** A key in a message for people. */
export function shown(key: string): string {
  const text = JSON.stringify(key);
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}

export function encodeOutcome(outcome: OutcomeInit): Uint8Array {
  const encoded = Outcome.codec('protobuf').encode(outcome as Outcome); // the codec takes what is left out for its default
  const bytes = new Uint8Array(encoded.bytes);
  encoded.writeTo(bytes, 0);
  return bytes;
}

/** @throws KvError KV_SNAPSHOT_DAMAGED */
export function decodeOutcome(bytes: Uint8Array): OutcomeInit {
  try {
    return Outcome.codec('protobuf').decode(bytes);
  } catch (error) {
    throw new KvError('KV_SNAPSHOT_DAMAGED', 'the answer of a session in a snapshot is damaged', {
      cause: error,
    });
  }
}
