// Completes and checks option objects where the user gives them: one error that names the option and what would be right.
// Everything in the RPC layer that has options calls it once, in its constructor. Pure.

import { RpcError } from './errors.js';

/**
 * The options with what was left out filled in; `undefined` counts as left out.
 * @param what whose options, for messages: `retry`
 * @throws RpcError RPC_OPTION_INVALID naming an option that does not exist
 */
export function withDefaults<T extends object>(what: string, defaults: T, options: Partial<T>): T {
  if (typeof options !== 'object' || options === null)
    throw new RpcError('RPC_OPTION_INVALID', `${what} options must be an object, not ${shown(options)}`);
  const complete: Record<string, unknown> = { ...(defaults as Record<string, unknown>) };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(defaults, name)) {
      throw invalidOption(what, name, `does not exist; there are ${Object.keys(defaults).join(', ')}`);
    }
    if (value !== undefined) complete[name] = value;
  }
  return complete as T; // the keys of `defaults` and nothing else
}

export interface NumberRange {
  readonly min?: number;
  /** The value is above it, not equal. */
  readonly above?: number;
  /** Default: any finite number. */
  readonly max?: number;
  readonly whole?: boolean;
}

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function checkNumber(what: string, name: string, value: unknown, range: NumberRange): void {
  const { min = -Infinity, above = -Infinity, max = Number.MAX_VALUE, whole = false } = range;
  const fits =
    typeof value === 'number' &&
    value >= min &&
    value > above &&
    value <= max &&
    (!whole || Number.isInteger(value));
  if (fits) return;
  const bounds = [
    ...(range.min === undefined ? [] : [`from ${min}`]),
    ...(range.above === undefined ? [] : [`above ${above}`]),
    ...(range.max === undefined ? [] : [`up to ${max}`]),
  ];
  const right = `must be a ${whole ? 'whole ' : ''}number ${bounds.join(' ')}`.trimEnd();
  throw invalidOption(what, name, `${right}, not ${shown(value)}`);
}

/** @throws RpcError RPC_OPTION_INVALID naming the option and the choices */
export function checkChoice<T extends string>(
  what: string,
  name: string,
  value: unknown,
  choices: readonly T[],
): asserts value is T {
  if (choices.includes(value as T)) return;
  throw invalidOption(what, name, `must be one of ${choices.join(', ')}, not ${shown(value)}`);
}

export type OptionKind = 'any' | 'boolean' | 'function' | 'number' | 'object' | 'string';
/** Of every option there is. */
export type OptionKinds<T> = { readonly [Name in keyof T]-?: OptionKind };

/** @throws RpcError RPC_OPTION_INVALID naming an option that does not exist or is of another kind */
export function checkKinds<T extends object>(what: string, kinds: OptionKinds<T>, options: T): void {
  if (typeof options !== 'object' || options === null)
    throw new RpcError('RPC_OPTION_INVALID', `${what} options must be an object, not ${shown(options)}`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, name))
      throw invalidOption(what, name, `does not exist; there are ${Object.keys(kinds).join(', ')}`);
    const kind = kinds[name as keyof T];
    if (value === undefined || kind === 'any') continue;
    if (typeof value !== kind || value === null)
      throw invalidOption(what, name, `must be of type ${kind}, not ${shown(value)}`);
  }
}

export function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function';
}

export function isFunctionList(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'function');
}

export function invalidOption(what: string, name: string, why: string): RpcError {
  return new RpcError('RPC_OPTION_INVALID', `${what} option ${name} ${why}`, { executed: 'no' });
}

/** A value in a message. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
