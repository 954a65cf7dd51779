// Checks that every codec makes: of its options when it is created, of sizes when it encodes and decodes.
// Each returns the checked value, or makes the coded error that says what would be right.

import { ReactorError } from '../errors.js';

/** Offsets of a frame's bytes stay small integers for V8, which is what keeps decoding free of garbage. */
export const FRAME_BYTES_LIMIT: number = 2 ** 30;

/** @throws ReactorError REACTOR_OPTION_INVALID, naming the option. */
export function checkedInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw optionInvalid(
    `codec option ${name} must be a whole number from ${min} to ${max}, not ${String(value)}`,
  );
}

export function checkedFrameBytesMax(value: unknown): number {
  return checkedInteger('frameBytesMax', value, 1, FRAME_BYTES_LIMIT);
}

/** @throws ReactorError REACTOR_OPTION_INVALID, naming the option. */
export function checkedOneOf<T>(name: string, value: unknown, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw optionInvalid(`codec option ${name} must be one of ${choices.join(', ')}, not ${String(value)}`);
}

export function optionInvalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}

/** The peer announced, or sent without an end, more than we accept. */
export function frameTooLarge(bodyBytes: number, frameBytesMax: number): ReactorError {
  return new ReactorError(
    'REACTOR_FRAME_TOO_LARGE',
    `a frame of ${bodyBytes} bytes is above the maximum of ${frameBytesMax}`,
  );
}

export function frameMalformed(message: string): ReactorError {
  return new ReactorError('REACTOR_FRAME_MALFORMED', message);
}

/** We were asked to send more than we accept. */
export function bodyTooLarge(bodyBytes: number, frameBytesMax: number): ReactorError {
  return new ReactorError(
    'REACTOR_BODY_TOO_LARGE',
    `a body of ${bodyBytes} bytes is above the maximum of ${frameBytesMax}`,
  );
}
