// Arguments turned into numbers and options, and the refusals that several command families share.
// Everything here throws CommandFailure, so that commands read their arguments first and change something only then.

import { GATHERED_BYTES_MAX } from '../limits.js';
import { CommandFailure, ErrorReply, NOT_AN_INTEGER, SYNTAX_ERROR } from '../reply.js';
import { type Integer, parseDouble, parseIndex, parseInteger } from './numbers.js';

/** Members that one command goes through, those of a key named twice counted twice: each member's one thread does it all. */
export const WORK_MAX: number = 2 ** 26;

/** Refuses what would hold up every member for minutes, and again whenever the entry is read after a restart. */
export function checkWork(members: number): void {
  if (members > WORK_MAX) fail(`ERR one command would go through more than ${WORK_MAX} elements`);
}

/** Refuses what would be larger than any answer: a long value may be named again and again. */
export function checkGathered(bytes: number): void {
  if (bytes > GATHERED_BYTES_MAX) fail(`ERR one command would gather more than ${GATHERED_BYTES_MAX} bytes`);
}

/** Ends the command with an error. */
export function fail(text: string): never {
  throw new CommandFailure(new ErrorReply(text));
}

export function failSyntax(): never {
  throw new CommandFailure(SYNTAX_ERROR);
}

export function failNotInteger(): never {
  throw new CommandFailure(NOT_AN_INTEGER);
}

export function failArity(name: string): never {
  fail(`ERR wrong number of arguments for '${name}' command`);
}

export function integerOf(text: string): Integer {
  return parseInteger(text) ?? failNotInteger();
}

/** As a number: for positions and counts, which are clamped anyway. */
export function indexOf(text: string): number {
  return parseIndex(text) ?? failNotInteger();
}

/** A count that must not be negative. */
export function countOf(text: string): number {
  const count = parseIndex(text);
  if (count === null || count < 0) fail('ERR value is out of range, must be positive');
  return count;
}

export function doubleOf(text: string, message = 'ERR value is not a valid float'): number {
  return parseDouble(text) ?? fail(message);
}

/** `args[at]` as an option word, '' behind the end. */
export function optionAt(args: readonly string[], at: number): string {
  return (args[at] ?? '').toUpperCase();
}

/** The argument behind an option; a syntax error when there is none. */
export function argumentAt(args: readonly string[], at: number): string {
  return args[at] ?? failSyntax();
}

/** `numkeys key [key …]` from `args[at]` on: the keys, and where the rest begins. */
export function keyListAt(
  args: readonly string[],
  at: number,
  tooMany = 'ERR syntax error',
): { keys: string[]; next: number } {
  const count = parseIndex(args[at]!);
  if (count === null || count <= 0) fail('ERR numkeys should be greater than 0');
  const next = at + 1 + count;
  if (next > args.length) fail(tooMany);
  return { keys: args.slice(at + 1, next), next };
}

/** Positions from the end turned into such from the start; `start` up to but without `end`, empty when they cross. */
export function clampRange(size: number, first: number, last: number): { start: number; end: number } {
  const start = Math.max(0, first < 0 ? size + first : first);
  const end = Math.min(size, (last < 0 ? size + last : last) + 1);
  return start < end ? { start, end } : { start: 0, end: 0 };
}
