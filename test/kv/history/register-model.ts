// One key that holds a string or nothing: put, get, append, compare-and-set by value or by version, delete.
// Versions are judged when an answer carries one, in one of two ways, or not at all (see `VersionRule`).
// State: the value and what is known of its version; a write whose answer nobody saw leaves the version open.

import assert from 'node:assert/strict';
import type { Model } from './model.js';

export type RegisterInput =
  | { readonly op: 'get' }
  | { readonly op: 'put'; readonly value: string }
  | { readonly op: 'append'; readonly value: string }
  | { readonly op: 'delete' }
  /** Writes if the value is `expected` (null: absent). */
  | { readonly op: 'cas'; readonly expected: string | null; readonly value: string }
  /** Writes if the version is `version` (0: absent). */
  | { readonly op: 'cas-version'; readonly version: number; readonly value: string };

/** What an answer leaves out is not judged. */
export interface RegisterOutput {
  /** The value read; null: absent. */
  readonly value?: string | null;
  /** Of the value read or of the one written; 0: absent. */
  readonly version?: number;
  /** Of the value after an append. */
  readonly length?: number;
  /** Whether a compare-and-set wrote. */
  readonly swapped?: boolean;
  /** Whether a delete found something. */
  readonly existed?: boolean;
}

/**
 * `counts`: a write makes the version one higher, a delete makes it 0.
 * `revisions`: a write gives a version above every earlier one of the key, by how much is left open (one counter for
 * the whole store).
 * `none`: no answer carries one, so no state has to remember any.
 */
export type VersionRule = 'counts' | 'revisions' | 'none';

interface RegisterState {
  readonly value: string | null;
  /** Of the value, or with `exact` false the least it may be; without a value the last there was. */
  readonly version: number;
  readonly exact: boolean;
}

const NOTHING: readonly RegisterState[] = [];
const UNVERSIONED: RegisterState = { value: null, version: 0, exact: true };

export function registerModel(
  rule: VersionRule = 'revisions',
): Model<RegisterState, RegisterInput, RegisterOutput> {
  return {
    name: `register (versions: ${rule})`,
    initial: UNVERSIONED,
    step: (state, input, output) => step(rule, state, input, output),
    identity: ({ value, version, exact }) =>
      `${exact ? '=' : '>'}${version}${value === null ? '' : `:${value}`}`,
    isRead: (input) => input.op === 'get',
    describe,
  };
}

function step(
  rule: VersionRule,
  state: RegisterState,
  input: RegisterInput,
  output: RegisterOutput | null,
): readonly RegisterState[] {
  switch (input.op) {
    case 'get': {
      if (output === null) return [state];
      if (output.value !== undefined && output.value !== state.value) return NOTHING;
      return output.version === undefined ? [state] : seen(state, output.version);
    }
    case 'put':
      return written(rule, state, input.value, output);
    case 'append':
      return written(rule, state, (state.value ?? '') + input.value, output);
    case 'delete': {
      if (output?.existed !== undefined && output.existed !== (state.value !== null)) return NOTHING;
      if (state.value === null) return [state];
      if (rule === 'none') return [UNVERSIONED];
      return [{ value: null, version: rule === 'counts' ? 0 : state.version, exact: rule === 'counts' }];
    }
    case 'cas': {
      const matches = state.value === input.expected;
      if (output?.swapped !== undefined && output.swapped !== matches) return NOTHING;
      return matches ? written(rule, state, input.value, output) : unwritten(state, output);
    }
    case 'cas-version': {
      assert(rule !== 'none', 'without versions nothing is asked by one');
      const matching = output?.swapped === false ? NOTHING : seen(state, input.version);
      const afterWriting = matching.flatMap((known) => written(rule, known, input.value, output));
      if (output?.swapped === true) return afterWriting;
      const surely = versionOf(state) === input.version;
      return surely ? afterWriting : [...afterWriting, ...unwritten(state, output)];
    }
    default:
      return input satisfies never;
  }
}

/** What is known once `version` has been read; nothing if it cannot be. */
function seen(state: RegisterState, version: number): readonly RegisterState[] {
  const known = versionOf(state);
  if (known !== null) return known === version ? [state] : NOTHING;
  return version >= state.version ? [{ value: state.value, version, exact: true }] : NOTHING;
}

/** A refused write may tell the version that it found. */
function unwritten(state: RegisterState, output: RegisterOutput | null): readonly RegisterState[] {
  return output?.version === undefined ? [state] : seen(state, output.version);
}

function written(
  rule: VersionRule,
  state: RegisterState,
  value: string,
  output: RegisterOutput | null,
): readonly RegisterState[] {
  if (output?.length !== undefined && output.length !== value.length) return NOTHING;
  if (output?.value !== undefined && output.value !== value) return NOTHING;
  if (rule === 'none') return [{ ...UNVERSIONED, value }];
  const least = state.version + 1;
  const version = output?.version ?? least;
  if (rule === 'counts') return version === least ? [{ value, version, exact: true }] : NOTHING;
  return version >= least ? [{ value, version, exact: output?.version !== undefined }] : NOTHING;
}

/** Null: not known. */
function versionOf(state: RegisterState): number | null {
  if (state.value === null) return 0;
  return state.exact ? state.version : null;
}

function describe(input: RegisterInput, output: RegisterOutput | null): string {
  const { op, ...rest } = input;
  const asked = Object.values(rest).map((value) => JSON.stringify(value));
  const answer = output === null ? 'unknown' : JSON.stringify(output);
  return `${op}(${asked.join(', ')}) → ${answer}`;
}
