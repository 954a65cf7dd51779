// Metadata of a call: headers with the request, headers and trailers with the answer.
// Keys are lower case; keys that end in `-bin` have binary values, all others printable ASCII text, as in gRPC.
// wire/metadata-block.ts writes it into frames and judges its size; `bytes` is what that takes.

import { RpcError } from './errors.js';

export type MetadataValue = string | Uint8Array;

const KEY = /^[0-9a-z_.-]{1,255}$/;
const TEXT = /^[\x20-\x7e]*$/;
/** One value's length is a u16 on the wire. */
const VALUE_BYTES_MAX = 0xffff;

export class Metadata implements Iterable<readonly [key: string, value: MetadataValue]> {
  readonly #entries: [key: string, value: MetadataValue][] = [];

  /** @throws RpcError RPC_INVALID_ARGUMENT naming the key */
  static from(values: Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>): Metadata {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(values)) {
      const list = Array.isArray(value) ? (value as readonly MetadataValue[]) : [value as MetadataValue];
      for (const each of list) metadata.add(key, each);
    }
    return metadata;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The first value of `key`. */
  get(key: string): MetadataValue | undefined {
    const wanted = key.toLowerCase();
    for (const [name, value] of this.#entries) if (name === wanted) return value;
    return undefined;
  }

  getAll(key: string): MetadataValue[] {
    const wanted = key.toLowerCase();
    return this.#entries.filter(([name]) => name === wanted).map(([, value]) => value);
  }

  /** The first value of `key` if it is text. */
  text(key: string): string | undefined {
    const value = this.get(key);
    return typeof value === 'string' ? value : undefined;
  }

  /** Adds a value behind those that `key` has. @throws RpcError RPC_INVALID_ARGUMENT */
  add(key: string, value: MetadataValue): this {
    const name = key.toLowerCase();
    check(name, value);
    this.#entries.push([name, value]);
    return this;
  }

  /** Replaces all values of `key`. @throws RpcError RPC_INVALID_ARGUMENT */
  set(key: string, value: MetadataValue): this {
    check(key.toLowerCase(), value);
    this.delete(key);
    return this.add(key, value);
  }

  delete(key: string): boolean {
    const wanted = key.toLowerCase();
    const before = this.#entries.length;
    for (let index = before - 1; index >= 0; index -= 1) {
      if (this.#entries[index]![0] === wanted) this.#entries.splice(index, 1);
    }
    return this.#entries.length < before;
  }

  clone(): Metadata {
    const copy = new Metadata();
    for (const [key, value] of this.#entries) copy.#entries.push([key, value]);
    return copy;
  }

  /** As a plain object; the last of several values of a key wins. */
  toObject(): Record<string, MetadataValue> {
    return Object.fromEntries(this.#entries);
  }

  [Symbol.iterator](): Iterator<readonly [string, MetadataValue]> {
    return this.#entries[Symbol.iterator]();
  }
}

function check(key: string, value: MetadataValue): void {
  if (!KEY.test(key)) {
    throw invalid(`metadata key '${key}' must be 1 to 255 characters of 0-9 a-z _ . -`);
  }
  const isBinary = key.endsWith('-bin');
  if (isBinary !== (typeof value !== 'string')) {
    throw invalid(
      isBinary
        ? `metadata '${key}' ends in -bin and so needs bytes`
        : `metadata '${key}' needs text: keys of binary values end in -bin`,
    );
  }
  if (value.length > VALUE_BYTES_MAX)
    throw invalid(`metadata '${key}' has ${value.length} bytes, above ${VALUE_BYTES_MAX}`);
  if (typeof value === 'string' && !TEXT.test(value))
    throw invalid(`metadata '${key}' must be printable ASCII; give other text as bytes under a -bin key`);
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_INVALID_ARGUMENT', message, { executed: 'no' });
}
