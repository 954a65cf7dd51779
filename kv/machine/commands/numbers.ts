// Numbers as Redis reads and writes them: signed 64-bit integers in their one canonical form, doubles, and the decimal
// sums of INCRBYFLOAT. Integers are JavaScript numbers while they are safe and bigints beyond.

export type Integer = number | bigint;

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
const INT64_MIN = -0x8000_0000_0000_0000n;
/** Up to here every string of digits is a safe integer. */
const SAFE_DIGITS = 15;

/** A signed 64-bit integer in canonical form (no plus, no leading zero, no space); null for anything else. */
export function parseInteger(text: string): Integer | null {
  const length = text.length;
  if (length === 0 || length > 20) return null;
  const negative = text.charCodeAt(0) === 0x2d;
  const start = negative ? 1 : 0;
  const first = text.charCodeAt(start);
  if (first === 0x30) return length === 1 ? 0 : null;
  if (length - start > SAFE_DIGITS) return parseLong(text);
  if (start === length) return null;
  let value = 0;
  for (let at = start; at < length; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

function parseLong(text: string): Integer | null {
  if (!/^-?[1-9]\d*$/.test(text)) return null;
  const value = BigInt(text);
  return value > INT64_MAX || value < INT64_MIN ? null : shortest(value);
}

/** The same as a number: beyond 2^53 the nearest one, which is enough wherever it is then clamped to a size. */
export function parseIndex(text: string): number | null {
  const value = parseInteger(text);
  return value === null ? null : Number(value);
}

/** The sum, null when it does not fit 64 signed bits. */
export function addIntegers(a: Integer, b: Integer): Integer | null {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const sum = BigInt(a) + BigInt(b);
  return sum > INT64_MAX || sum < INT64_MIN ? null : shortest(sum);
}

/** -value, null when it does not fit. */
export function negated(value: Integer): Integer | null {
  if (typeof value === 'number') return value === 0 ? 0 : -value;
  return value === INT64_MIN ? null : shortest(-value);
}

export function shortest(value: bigint): Integer {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** One way to match each text: with two, a million digits would be tried a million times over. */
const DOUBLE = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** A double; null for NaN, for what a double cannot hold, and for anything else. */
export function parseDouble(text: string): number | null {
  if (DOUBLE.test(text)) {
    const value = Number(text);
    if (!Number.isFinite(value)) return null;
    if (value === 0 && /[1-9]/.test(text.split(/e/i)[0]!)) return null;
    return value;
  }
  const infinite = INFINITE.exec(text);
  if (infinite === null) return null;
  return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** The shortest decimal that reads back as the same double, written as C's %.17g writes it. */
export function formatDouble(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e17) return String(value);
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (Number.isNaN(value)) return 'nan';
  const [digits, power] = value.toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 17) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (exponent >= 0) return String(value);
  const sign = value < 0 ? '-' : '';
  const figures = digits.replace('-', '').replace('.', '');
  return `${sign}0.${'0'.repeat(-exponent - 1)}${figures}`;
}

/** A decimal number: units / 10^scale. */
export interface Decimal {
  readonly units: bigint;
  readonly scale: number;
}

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i;
/** As far as doubles reach; more would only cost memory. */
const DECIMAL_POWER_MAX = 308;
const DECIMAL_CHARACTERS_MAX = 1_024;
/** Digits behind the point that INCRBYFLOAT keeps. */
const FRACTION_DIGITS = 17;

/** 'infinite' for an infinity, null for what is no number. */
export function parseDecimal(text: string): Decimal | 'infinite' | null {
  if (INFINITE.test(text)) return 'infinite';
  if (text.length > DECIMAL_CHARACTERS_MAX || !DOUBLE.test(text)) return null;
  const [, sign, whole, fraction, power] = DECIMAL.exec(text)! as unknown as string[];
  const exponent = Number(power ?? '0');
  if (Math.abs(exponent) > DECIMAL_POWER_MAX) return null;
  let units = BigInt(`${whole!}${fraction!}`);
  let scale = fraction!.length - exponent;
  if (scale < 0) {
    units *= 10n ** BigInt(-scale);
    scale = 0;
  }
  return { units: sign === '-' ? -units : units, scale };
}

/** The sum, written without exponent, with at most 17 digits behind the point and no zeros at its end. */
export function addDecimals(a: Decimal, b: Decimal): string {
  let scale = Math.max(a.scale, b.scale);
  let units = a.units * 10n ** BigInt(scale - a.scale) + b.units * 10n ** BigInt(scale - b.scale);
  const negative = units < 0n;
  if (negative) units = -units;
  if (scale > FRACTION_DIGITS) {
    const cut = 10n ** BigInt(scale - FRACTION_DIGITS);
    const rest = units % cut;
    units /= cut;
    if (rest * 2n > cut || (rest * 2n === cut && (units & 1n) === 1n)) units += 1n;
    scale = FRACTION_DIGITS;
  }
  const sign = negative && units !== 0n ? '-' : '';
  if (scale === 0) return `${sign}${units}`;
  const digits = units.toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  const fraction = digits.slice(point).replace(/0+$/, '');
  return `${sign}${digits.slice(0, point)}${fraction === '' ? '' : `.${fraction}`}`;
}
