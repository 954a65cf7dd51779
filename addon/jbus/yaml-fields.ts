// How one value of a YAML file is read: what it must be, in words, and the value if it is that.
// channel-config.ts says which field is which; yaml-reading.ts complains. Pure.

import { isCapacity } from './layout.js';

export interface FieldReader<T> {
  /** Completes "must be …". */
  readonly right: string;
  /** Undefined when the value is not right. */
  read(value: unknown): T | undefined;
}

const KIB = 1024;
const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: KIB, MiB: KIB ** 2, GiB: KIB ** 3 };

export function integer(least: number, most: number): FieldReader<number> {
  return {
    right: `a whole number from ${least} to ${most}`,
    read: (value) => (isWhole(value) && value >= least && value <= most ? value : undefined),
  };
}

export function size(least: number, most: number): FieldReader<number> {
  return {
    right: `bytes, up to ${most}, as a number or like '8 MiB'`,
    read: (value) => {
      const bytes = bytesOf(value);
      return bytes !== undefined && bytes >= least && bytes <= most ? bytes : undefined;
    },
  };
}

export function capacity(): FieldReader<number> {
  return {
    right: "a power of two from 4 KiB to 2 GiB, like '8 MiB'",
    read: (value) => {
      const bytes = bytesOf(value);
      return bytes !== undefined && isCapacity(bytes) ? bytes : undefined;
    },
  };
}

export function flag(): FieldReader<boolean> {
  return { right: 'true or false', read: (value) => (typeof value === 'boolean' ? value : undefined) };
}

export function oneOf<const T extends string>(...names: readonly T[]): FieldReader<T> {
  return { right: names.join(', '), read: (value) => names.find((name) => name === value) };
}

export function text(): FieldReader<string> {
  return {
    right: 'a text',
    read: (value) => (typeof value === 'string' && value !== '' ? value : undefined),
  };
}

export function evenInteger(least: number, most: number): FieldReader<number> {
  const whole = integer(least, most);
  return {
    right: `an even number from ${least} to ${most}`,
    read: (value) => (Number(value) % 2 === 0 ? whole.read(value) : undefined),
  };
}

function bytesOf(value: unknown): number | undefined {
  if (typeof value === 'number') return isWhole(value) ? value : undefined;
  const [, digits, unit] = /^(\d+) ?(B|KiB|MiB|GiB)$/.exec(String(value)) ?? [];
  return digits === undefined || unit === undefined ? undefined : Number(digits) * UNITS[unit]!;
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}
