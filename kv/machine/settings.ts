// Settings that every member has alike, because they are changed through the log and kept in snapshots.
// The machine obeys `quota-bytes`, `value-bytes-max` and `alarm-disk-…`; any other name is kept for whoever set it.

import {
  SETTING_NAME_BYTES_MAX,
  SETTING_VALUE_BYTES_MAX,
  SETTINGS_MAX,
  STRING_BYTES_DEFAULT,
  STRING_BYTES_MAX,
  STRING_BYTES_MIN,
} from './limits.js';
import type { SipKey } from './half-sip-hash.js';
import { PROTOCOL_VERSION_MIN } from './protocol-version.js';
import { damaged, type ValueReader, type ValueWriter } from './value.js';

/** Memory (machine.memoryBytes) above which writes that need more are refused; 0 or absent: no quota. */
export const SETTING_QUOTA = 'quota-bytes';
/** Bytes that a string value may grow to; absent: STRING_BYTES_DEFAULT. */
export const SETTING_VALUE_BYTES = 'value-bytes-max';
/** What all members have agreed on, see protocol-version.ts; absent: 1. */
export const SETTING_PROTOCOL = 'protocol-version';
/** Secret of the order of SCAN, 16 hexadecimal digits; absent: none yet. */
export const SETTING_SCAN_SEED = 'scan-seed';
/** With a member's id behind it and any value: that member's disk is full. Refuses growing writes like the quota. */
export const SETTING_DISK_ALARM = 'alarm-disk-';

const NAME = /^[a-z0-9][a-z0-9.:_-]*$/;

export class Settings {
  readonly #values = new Map<string, string>();
  #changes = 0;
  #quotaBytes = 0;
  #diskAlarms = 0;
  #stringBytesMax = STRING_BYTES_DEFAULT;

  /** Goes up with every change: whoever derives something looks again then. */
  get changes(): number {
    return this.#changes;
  }

  get protocolVersion(): number {
    return Number(this.#values.get(SETTING_PROTOCOL) ?? PROTOCOL_VERSION_MIN);
  }

  get scanKey(): SipKey | null {
    const seed = this.#values.get(SETTING_SCAN_SEED);
    if (seed === undefined) return null;
    return { low: Number.parseInt(seed.slice(0, 8), 16) | 0, high: Number.parseInt(seed.slice(8), 16) | 0 };
  }

  /** Bytes that a string value may grow to. */
  get stringBytesMax(): number {
    return this.#stringBytesMax;
  }

  /** 0: none. */
  get quotaBytes(): number {
    return this.#quotaBytes;
  }

  /** Members whose disk is full. */
  get diskAlarms(): number {
    return this.#diskAlarms;
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** Names in order, with their values. */
  entries(): [string, string][] {
    return [...this.#values].toSorted(([a], [b]) => (a < b ? -1 : 1));
  }

  /** What is wrong with a setting, null if it may be set. An empty value removes it. */
  refusalOf(name: string, value: string): string | null {
    if (name.length > SETTING_NAME_BYTES_MAX || !NAME.test(name))
      return 'the name of a setting is a-z0-9.:_-';
    if (value.length > SETTING_VALUE_BYTES_MAX) return 'the value of a setting is too long';
    if (name === SETTING_PROTOCOL && !(/^\d{1,3}$/.test(value) && Number(value) >= this.protocolVersion)) {
      return `the protocol version is ${this.protocolVersion} and never goes back`;
    }
    if (value === '') return null;
    if (name === SETTING_SCAN_SEED && !/^[0-9a-f]{16}$/.test(value)) {
      return 'the seed of scans has 16 hexadecimal digits';
    }
    if (name === SETTING_QUOTA && (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(Number(value)))) {
      return 'quota-bytes is a whole number of bytes, 0 for none';
    }
    if (name === SETTING_VALUE_BYTES && !isStringBytes(value)) {
      return `value-bytes-max is a whole number of bytes from ${STRING_BYTES_MIN} to ${STRING_BYTES_MAX}`;
    }
    if (!this.#values.has(name) && this.#values.size === SETTINGS_MAX) return 'there are too many settings';
    return null;
  }

  /** refusalOf() is null for them. */
  set(name: string, value: string): void {
    if (value === '') this.#values.delete(name);
    else this.#values.set(name, value);
    this.#read();
  }

  encode(writer: ValueWriter): void {
    const entries = this.entries();
    writer.uint(entries.length);
    for (const [name, value] of entries) {
      writer.bytes(name);
      writer.bytes(value);
    }
  }

  static decode(reader: ValueReader): Settings {
    const settings = new Settings();
    const count = reader.count(2);
    for (let index = 0; index < count; index += 1) {
      const name = reader.string();
      const value = reader.string();
      if (value === '' || settings.refusalOf(name, value) !== null) throw damaged('a setting is impossible');
      settings.#values.set(name, value);
    }
    settings.#read();
    return settings;
  }

  #read(): void {
    this.#changes += 1;
    this.#quotaBytes = Number(this.#values.get(SETTING_QUOTA) ?? 0);
    this.#stringBytesMax = Number(this.#values.get(SETTING_VALUE_BYTES) ?? STRING_BYTES_DEFAULT);
    this.#diskAlarms = 0;
    for (const name of this.#values.keys()) if (name.startsWith(SETTING_DISK_ALARM)) this.#diskAlarms += 1;
  }
}

function isStringBytes(value: string): boolean {
  const bytes = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  return bytes >= STRING_BYTES_MIN && bytes <= STRING_BYTES_MAX;
}
