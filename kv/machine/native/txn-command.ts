// Transactions: compare, then one of two lists of commands, all of them or none.
// Nothing is rolled back: before the first change the list is gone through in thought (#typeOf each key as it will be by
// then), so that a list that is begun cannot fail. What depends on bounds of an answer is cut short instead.

import {
  type Command,
  type Compare,
  CompareOperator,
  type Put,
  PutCondition,
  type Txn,
} from '../../proto/kv.js';
import type { Range as KeyBounds } from '../../skip/range.js';
import { textOf } from '../bytes.js';
import type { Slot } from '../slot.js';
import {
  runAppend,
  runDelete,
  runGet,
  runPut,
  runPutSequential,
  runTouch,
  termsFor,
} from './key-commands.js';
import type { NativeContext } from './native-context.js';
import { DELETES_MAX, TTL_MS_MAX, TXN_OPERATIONS_MAX, VALUE_BYTES_MAX } from './native-limits.js';
import {
  isString,
  keyFrom,
  NativeFailure,
  numberFrom,
  type OutcomeInit,
  type Result,
  shown,
  textFrom,
} from './outcomes.js';
import { boundsFrom, isInBounds, limitFrom, runDeleteRange, runRange } from './range-commands.js';

export function runTxn(context: NativeContext, command: Txn): Result {
  const { compares, success, failure } = command;
  if (compares.length + success.length + failure.length > TXN_OPERATIONS_MAX) {
    throw new NativeFailure(
      'KV_REQUEST_INVALID',
      `a transaction has at most ${TXN_OPERATIONS_MAX} comparisons and commands`,
    );
  }
  const succeeded = compares.every((each) => holds(context, each));
  const list = succeeded ? success : failure;
  new Rehearsal(context).checkAll(list);
  const revision = BigInt(context.keyspace.revision + 1);
  const outcomes: OutcomeInit[] = list.map((each) => Object.assign(runOne(context, each), { revision }));
  return { txn: { succeeded, outcomes } };
}

function runOne(context: NativeContext, command: Command): Result {
  if (command.put !== undefined) return runPut(context, command.put);
  if (command.get !== undefined) return runGet(context, command.get);
  if (command.delete !== undefined) return runDelete(context, command.delete);
  if (command.append !== undefined) return runAppend(context, command.append);
  if (command.deleteRange !== undefined) return runDeleteRange(context, command.deleteRange);
  if (command.range !== undefined) return runRange(context, command.range);
  if (command.touch !== undefined) return runTouch(context, command.touch);
  if (command.putSequential !== undefined) return runPutSequential(context, command.putSequential);
  throw notInTxn();
}

function notInTxn(): NativeFailure {
  return new NativeFailure(
    'KV_REQUEST_INVALID',
    'a transaction may have get, put, append, delete, delete_range, range, touch and put_sequential',
  );
}

/** @throws NativeFailure KV_REQUEST_INVALID */
export function holds({ keyspace }: NativeContext, compare: Compare): boolean {
  const slot = keyspace.find(keyFrom(compare.key));
  const { operator, value, version, modRevision, createRevision, lease, exists } = compare;
  if (value !== undefined) {
    if (slot === undefined) return matches(operator, -1);
    if (!isString(slot.value)) return false;
    const [have, want] = [textOf(slot.value), textFrom(value)];
    return matches(operator, have < want ? -1 : have > want ? 1 : 0);
  }
  if (exists !== undefined) {
    if (operator === CompareOperator.LESS || operator === CompareOperator.GREATER)
      throw new NativeFailure('KV_REQUEST_INVALID', 'exists compares with EQUAL and NOT_EQUAL');
    return matches(operator, exists === (slot !== undefined) ? 0 : 1);
  }
  if (version !== undefined) return ordered(operator, slot?.writes, version);
  if (modRevision !== undefined) return ordered(operator, slot?.version, modRevision);
  if (createRevision !== undefined) return ordered(operator, slot?.createRevision, createRevision);
  if (lease !== undefined) return ordered(operator, slot?.lease, lease);
  throw new NativeFailure('KV_REQUEST_INVALID', 'a comparison must say with what');
}

function ordered(operator: CompareOperator, have: number | undefined, want: bigint): boolean {
  const difference = BigInt(have ?? 0) - want;
  return matches(operator, difference < 0n ? -1 : difference > 0n ? 1 : 0);
}

function matches(operator: CompareOperator, order: number): boolean {
  switch (operator) {
    case CompareOperator.EQUAL:
      return order === 0;
    case CompareOperator.NOT_EQUAL:
      return order !== 0;
    case CompareOperator.LESS:
      return order < 0;
    case CompareOperator.GREATER:
      return order > 0;
    default:
      throw new NativeFailure('KV_REQUEST_INVALID', `there is no operator ${String(operator)}`);
  }
}

/** What a key will be: bytes of its string; -1 for none, -2 for what is not a string. */
type Shape = number;
const ABSENT: Shape = -1;
const OTHER: Shape = -2;

class Rehearsal {
  readonly #context: NativeContext;
  /** Keys that were written so far. */
  readonly #shapes = new Map<string, Shape>();
  /** Ranges that were deleted so far. */
  readonly #deleted: KeyBounds[] = [];
  /** Keys that will be tied to each lease so far. */
  readonly #tied = new Map<bigint, number>();

  constructor(context: NativeContext) {
    this.#context = context;
  }

  /** @throws NativeFailure: one of them cannot be done */
  checkAll(list: readonly Command[]): void {
    for (const command of list) this.#check(command);
  }

  #check(command: Command): void {
    const { get, put, append, touch, range, deleteRange, putSequential } = command;
    if (put !== undefined) this.#checkPut(put);
    else if (get !== undefined) {
      const key = keyFrom(get.key);
      if (this.#stringShape(key) > VALUE_BYTES_MAX) throw tooLarge(key);
    } else if (command.delete !== undefined) this.#shapes.set(keyFrom(command.delete.key), ABSENT);
    else if (append !== undefined) {
      const key = keyFrom(append.key);
      const length = Math.max(this.#stringShape(key), 0) + append.value.length;
      if (length > VALUE_BYTES_MAX) throw tooLarge(key);
      this.#shapes.set(key, length);
    } else if (deleteRange !== undefined) {
      const bounds = boundsFrom(deleteRange.range);
      // All of them go or the command is refused: which ones a limit would leave is not gone through.
      const count = this.#context.keyspace.count(bounds) + this.#shapes.size;
      if (deleteRange.limit !== 0 || count > DELETES_MAX) {
        throw new NativeFailure(
          'KV_REQUEST_INVALID',
          `a delete_range in a transaction has no limit, and at most ${DELETES_MAX} keys`,
        );
      }
      for (const key of this.#shapes.keys()) if (isInBounds(key, bounds)) this.#shapes.set(key, ABSENT);
      this.#deleted.push(bounds);
    } else if (range !== undefined) {
      boundsFrom(range.range);
      limitFrom(range.limit);
      for (const revision of [
        range.minModRevision,
        range.maxModRevision,
        range.minCreateRevision,
        range.maxCreateRevision,
      ])
        numberFrom('revision', revision);
    } else if (touch !== undefined) {
      keyFrom(touch.key);
      numberFrom('ttl_ms', touch.ttlMs, TTL_MS_MAX);
    } else if (putSequential !== undefined) {
      this.#checkTerms(keyFrom(putSequential.prefix), putSequential);
    } else throw notInTxn();
  }

  #checkPut(put: Put): void {
    const key = keyFrom(put.key);
    const shape = this.#stringShape(key);
    if (put.condition === PutCondition.IF_ABSENT && shape !== ABSENT)
      throw new NativeFailure('KV_EXISTS', `${shown(key)} is there already`);
    if ((put.condition === PutCondition.IF_PRESENT || put.keepValue) && shape === ABSENT)
      throw new NativeFailure('KV_NOT_FOUND', `there is no ${shown(key)}`);
    this.#checkTerms(key, put);
    this.#shapes.set(key, put.keepValue ? shape : put.value.length);
  }

  #checkTerms(key: string, terms: Parameters<typeof termsFor>[3]): void {
    const tied = this.#tied.get(terms.lease) ?? 0;
    termsFor(this.#context, key, undefined, terms, tied);
    if (terms.lease !== 0n) this.#tied.set(terms.lease, tied + 1);
  }

  /** @throws NativeFailure KV_WRONG_TYPE */
  #stringShape(key: string): Shape {
    const shape = this.#shapeOf(key);
    if (shape === OTHER) throw new NativeFailure('KV_WRONG_TYPE', `${shown(key)} holds no string`);
    return shape;
  }

  #shapeOf(key: string): Shape {
    const written = this.#shapes.get(key);
    if (written !== undefined) return written;
    if (this.#deleted.some((bounds) => isInBounds(key, bounds))) return ABSENT;
    const slot: Slot | undefined = this.#context.keyspace.find(key);
    if (slot === undefined) return ABSENT;
    return isString(slot.value) ? slot.value.length : OTHER;
  }
}

function tooLarge(key: string): NativeFailure {
  return new NativeFailure('KV_VALUE_TOO_LARGE', `${shown(key)} has more than ${VALUE_BYTES_MAX} bytes`);
}
