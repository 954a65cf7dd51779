// What the store says of a key, in the client's types: numbers instead of bigints (ids and revisions stay below 2^53),
// buffers for bytes. Texts that are given stand for their UTF-8 bytes.

import type { KeyValue } from '../proto/kv.js';

/** Keys and values as they are given: a text is its UTF-8 bytes. */
export type BytesLike = string | Uint8Array;

export function bytesOf(value: BytesLike): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export class KvPair {
  readonly key: Buffer;
  /** Empty where only keys were asked for, or `type` is set. */
  readonly value: Buffer;
  /** The revision at which the key came to be. */
  readonly createRevision: number;
  /** The revision that changed it last. */
  readonly modRevision: number;
  /** Writes since it came to be; 1 for a new key. */
  readonly version: number;
  /** 0 for none. */
  readonly lease: number;
  /** Milliseconds left of its own ttl; 0 for none. */
  readonly ttlMs: number;
  /** '' for a string; else what the Redis commands made of it, or 'large'. */
  readonly type: string;

  constructor({ key, value, createRevision, modRevision, version, lease, ttlMs, type }: KeyValue) {
    this.key = bufferOf(key);
    this.value = bufferOf(value);
    this.createRevision = Number(createRevision);
    this.modRevision = Number(modRevision);
    this.version = Number(version);
    this.lease = Number(lease);
    this.ttlMs = Number(ttlMs);
    this.type = type;
  }

  /** The key as text. */
  get keyText(): string {
    return this.key.toString('utf8');
  }

  /** The value as text. */
  get text(): string {
    return this.value.toString('utf8');
  }
}

export function pairOf(kv: KeyValue | undefined): KvPair | null {
  return kv === undefined ? null : new KvPair(kv);
}
