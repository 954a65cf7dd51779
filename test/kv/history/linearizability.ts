// Is there an order of a key's operations, each at one instant between its call and its return, that a sequential
// object would have answered alike? The search of Wing and Gong with the memo of Lowe: operations are lifted out of
// the list of calls and returns as they are ordered, and no (set of operations, state) is looked at twice. Operations
// without an answer need not happen, which is used twice: they are tried last, and a state that was reached with
// fewer of them makes the same state with more of them needless.
// Knows no object (see model.ts) and no clock; counts its steps and says `unknown` when they are used up.

import assert from 'node:assert/strict';
import type { Model } from './model.js';
import { byKey, isPending, type Operation } from './operation.js';

export type Verdict<Input = unknown, Output = unknown> =
  | {
      readonly kind: 'linearizable';
      readonly steps: number;
      readonly order: readonly Operation<Input, Output>[];
    }
  | {
      readonly kind: 'violation';
      readonly steps: number;
      /** The longest start of an order that was found. */
      readonly order: readonly Operation<Input, Output>[];
      /** What no such order could be continued with: it returned before anything else could come. */
      readonly stuck: Operation<Input, Output>;
    }
  /** The budget is used up. */
  | { readonly kind: 'unknown'; readonly steps: number };

export interface CheckOptions {
  /** Steps of the model for one key. Default 5,000,000, some ten seconds. */
  readonly stepsMax?: number;
}

const STEPS_MAX = 5_000_000;

/** Judges every key alone, which is enough: a history is linearizable if and only if each of its keys is. */
export function checkKeys<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  options: CheckOptions = {},
): Map<string, Verdict<Input, Output>> {
  const verdicts = new Map<string, Verdict<Input, Output>>();
  for (const [key, operations] of byKey(history)) verdicts.set(key, check(model, operations, options));
  return verdicts;
}

/** Judges the operations of one key. */
export function check<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  { stepsMax = STEPS_MAX }: CheckOptions = {},
): Verdict<Input, Output> {
  const telling = operations.filter((operation) => !isPending(operation) || !model.isRead(operation.input));
  return new Search(model, telling).run(stepsMax);
}

/** An operation that was ordered, and how to take it back. */
interface Lifted<State> {
  readonly node: number;
  readonly before: State;
  /** Which of the model's next states was taken. */
  readonly choice: number;
}

const HEAD = 0;

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  /** Those with an answer first, each part by call: the memo's keys stay short. */
  readonly #operations: readonly Operation<Input, Output>[];
  /** Calls and returns in the order of time, as a doubly linked list of numbers from 1; 0 is before and after all. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #operationAt: Int32Array;
  /** Of a call: the node of its return, 0 if there is none. Of a return: -1. */
  readonly #returnOf: Int32Array;
  /** Of a pending operation: the one just before that asks the same, or -1. They are ordered by call (see below). */
  readonly #twin: Int32Array;
  /** Ordered operations as bits: those with an answer, and the pending ones. */
  readonly #answered: Uint16Array;
  readonly #pending: Uint16Array;
  readonly #answeredCount: number;
  /** By the answered ones that are ordered and the state: the least sets of pending ones that this was reached with. */
  readonly #seen = new Map<string, Uint16Array[]>();

  constructor(model: Model<State, Input, Output>, operations: readonly Operation<Input, Output>[]) {
    this.#model = model;
    this.#operations = operations.toSorted(
      (a, b) => Number(isPending(a)) - Number(isPending(b)) || a.callNs - b.callNs || a.id - b.id,
    );
    const nodes = this.#events();
    this.#next = new Int32Array(nodes.length + 1);
    this.#previous = new Int32Array(nodes.length + 1);
    this.#operationAt = new Int32Array(nodes.length + 1);
    this.#returnOf = new Int32Array(nodes.length + 1);
    this.#twin = new Int32Array(this.#operations.length).fill(-1);
    this.#answeredCount = this.#operations.filter((operation) => !isPending(operation)).length;
    this.#answered = new Uint16Array(Math.ceil(this.#answeredCount / 16));
    this.#pending = new Uint16Array(Math.ceil((this.#operations.length - this.#answeredCount) / 16));
    this.#link(nodes);
    this.#findTwins();
  }

  run(stepsMax: number): Verdict<Input, Output> {
    const path: Lifted<State>[] = [];
    let unanswered = this.#answeredCount;
    let state = this.#model.initial;
    let node = this.#next[HEAD]!;
    /** First the calls with an answer up to the next return, then the pending ones up to there. */
    let pass: 'answered' | 'pending' = 'answered';
    let choice = 0;
    let steps = 0;
    let longest: number[] = [];
    let stuck = -1;
    while (unanswered > 0) {
      const end = this.#returnOf[node]!;
      // The list cannot end first: an operation with an answer that is not ordered has its return in it.
      assert(node !== HEAD);
      if (end !== -1) {
        const next = (end === 0) === (pass === 'pending') ? this.#advance(node, state, choice) : null;
        steps += 1;
        if (steps > stepsMax) return { kind: 'unknown', steps: stepsMax };
        choice = 0;
        if (next === null) {
          node = this.#next[node]!;
          continue;
        }
        path.push({ node, before: state, choice: next.choice });
        state = next.state;
        if (this.#lift(node)) unanswered -= 1;
        node = this.#next[HEAD]!;
        pass = 'answered';
        continue;
      }
      if (pass === 'answered') {
        node = this.#next[HEAD]!;
        pass = 'pending';
        continue;
      }
      if (stuck === -1 || path.length > longest.length) {
        longest = path.map((lifted) => this.#operationAt[lifted.node]!);
        stuck = this.#operationAt[node]!;
      }
      const last = path.pop();
      if (last === undefined) {
        const order = longest.map((index) => this.#operations[index]!);
        return { kind: 'violation', steps, order, stuck: this.#operations[stuck]! };
      }
      if (this.#unlift(last.node)) {
        unanswered += 1;
        pass = 'answered';
      }
      state = last.before;
      node = last.node;
      choice = last.choice + 1;
    }
    const order = path.map((lifted) => this.#operations[this.#operationAt[lifted.node]!]!);
    return { kind: 'linearizable', steps, order };
  }

  /** The first state from `choice` on that the call at `node` leads to and that has not been looked at, or null. */
  #advance(node: number, state: State, choice: number): { state: State; choice: number } | null {
    const index = this.#operationAt[node]!;
    const twin = this.#twin[index]!;
    if (twin !== -1 && !this.#isDone(twin)) return null;
    const { input, output } = this.#operations[index]!;
    const states = this.#model.step(state, input, output);
    if (choice >= states.length) return null;
    this.#flip(index);
    let at = choice;
    while (at < states.length && !this.#isNew(states[at]!)) at += 1;
    this.#flip(index);
    return at < states.length ? { state: states[at]!, choice: at } : null;
  }

  /** False if the ordered operations led to this state before, with the same pending ones among them or fewer. */
  #isNew(state: State): boolean {
    const key = `${this.#answeredKey()}${this.#model.identity(state)}`;
    const seen = this.#seen.get(key);
    if (seen === undefined) {
      this.#seen.set(key, [this.#pending.slice()]);
      return true;
    }
    if (seen.some((fewer) => fewer.every((word, at) => (word & ~this.#pending[at]!) === 0))) return false;
    const least = seen.filter((more) => !this.#pending.every((word, at) => (word & ~more[at]!) === 0));
    this.#seen.set(key, [...least, this.#pending.slice()]);
    return true;
  }

  /** Takes a call and its return out of the list. True if it has an answer. */
  #lift(node: number): boolean {
    this.#flip(this.#operationAt[node]!);
    const end = this.#returnOf[node]!;
    this.#next[this.#previous[node]!] = this.#next[node]!;
    this.#previous[this.#next[node]!] = this.#previous[node]!;
    if (end === 0) return false;
    this.#next[this.#previous[end]!] = this.#next[end]!;
    this.#previous[this.#next[end]!] = this.#previous[end]!;
    return true;
  }

  /** Puts back what #lift took out last. */
  #unlift(node: number): boolean {
    this.#flip(this.#operationAt[node]!);
    const end = this.#returnOf[node]!;
    if (end !== 0) {
      this.#next[this.#previous[end]!] = end;
      this.#previous[this.#next[end]!] = end;
    }
    this.#next[this.#previous[node]!] = node;
    this.#previous[this.#next[node]!] = node;
    return end !== 0;
  }

  /** Calls before returns at the same time: intervals are closed. */
  #events(): { ns: number; isReturn: boolean; index: number }[] {
    const events = this.#operations.flatMap((operation, index) => {
      assert(operation.returnNs >= operation.callNs, 'an operation returns after its call');
      const call = { ns: operation.callNs, isReturn: false, index };
      return isPending(operation) ? [call] : [call, { ns: operation.returnNs, isReturn: true, index }];
    });
    return events.toSorted(
      (a, b) => a.ns - b.ns || Number(a.isReturn) - Number(b.isReturn) || a.index - b.index,
    );
  }

  #link(events: readonly { isReturn: boolean; index: number }[]): void {
    const callOf = new Int32Array(this.#operations.length);
    for (const [at, { isReturn, index }] of events.entries()) {
      const node = at + 1;
      this.#operationAt[node] = index;
      this.#previous[node] = at;
      this.#next[at] = node;
      if (isReturn) {
        this.#returnOf[callOf[index]!] = node;
        this.#returnOf[node] = -1;
      } else callOf[index] = node;
    }
    this.#previous[HEAD] = events.length;
    this.#next[events.length] = HEAD;
  }

  /**
   * Of pending operations that ask the same, the one called first may stand for any other wherever that could be, so
   * only orders that take them by call are tried: for n lost increments n + 1 cases instead of 2^n.
   */
  #findTwins(): void {
    const last = new Map<string, number>();
    for (const [index, operation] of this.#operations.entries()) {
      if (!isPending(operation)) continue;
      const input = JSON.stringify(operation.input);
      this.#twin[index] = last.get(input) ?? -1;
      last.set(input, index);
    }
  }

  #isDone(index: number): boolean {
    const { words, at } = this.#bit(index);
    return ((words[at >> 4]! >> (at & 15)) & 1) === 1;
  }

  #flip(index: number): void {
    const { words, at } = this.#bit(index);
    words[at >> 4]! ^= 1 << (at & 15);
  }

  #bit(index: number): { words: Uint16Array; at: number } {
    const past = index - this.#answeredCount;
    return past < 0 ? { words: this.#answered, at: index } : { words: this.#pending, at: past };
  }

  /** The set of ordered operations with an answer; short, as all up to some call are in it and few after. */
  #answeredKey(): string {
    const words = this.#answered;
    let low = 0;
    while (low < words.length && words[low] === 0xffff) low += 1;
    let high = words.length;
    while (high > low && words[high - 1] === 0) high -= 1;
    let key = `${low},${high}:`;
    for (let at = low; at < high; at += 1) key += String.fromCharCode(words[at]!);
    return key;
  }
}
