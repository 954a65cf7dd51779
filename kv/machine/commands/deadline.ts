// Deadlines as clients name them: EX, PX, EXAT and PXAT, turned into ms of log time.

import { fail, integerOf } from './arguments.js';

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
/** Later deadlines, from the year 287396 on, are cut to it, so that all of them are exact numbers. */
const DEADLINE_MAX = Number.MAX_SAFE_INTEGER;

export function isDeadlineUnit(option: string): boolean {
  return option === 'EX' || option === 'PX' || option === 'EXAT' || option === 'PXAT';
}

/**
 * Log time of a deadline that has to be above 0, as SET and GETEX ask for.
 * @throws CommandFailure
 */
export function deadlineOf(unit: string, text: string, nowMs: number, command: string): number {
  const value = integerOf(text);
  if (value <= 0) failDeadline(command);
  return anyDeadlineOf(unit, value, nowMs, command);
}

/**
 * The same for EXPIRE, where it may lie in the past; never 0, which would mean none.
 * @throws CommandFailure
 */
export function anyDeadlineOf(unit: string, value: number | bigint, nowMs: number, command: string): number {
  const inSeconds = unit === 'EX' || unit === 'EXAT';
  const base = unit === 'EX' || unit === 'PX' ? nowMs : 0;
  let ms: number;
  if (typeof value === 'number' && Math.abs(value) < 2 ** 40) {
    ms = (inSeconds ? value * 1000 : value) + base;
  } else {
    const exact = BigInt(value) * (inSeconds ? 1000n : 1n);
    if (exact > INT64_MAX || exact < -INT64_MAX - 1n || exact + BigInt(base) > INT64_MAX)
      failDeadline(command);
    ms = Number(exact + BigInt(base));
  }
  if (ms > DEADLINE_MAX) return DEADLINE_MAX;
  return ms <= 0 ? -1 : ms;
}

function failDeadline(command: string): never {
  fail(`ERR invalid expire time in '${command}' command`);
}
