// Histories that are linearizable because they were made so: every operation takes effect at a drawn instant between
// its call and its return, on a plain object. And changes to them that a checker should notice.

import type { SeededRandom } from '../../support/seeded-random.js';
import type { CounterInput, CounterOutput } from './counter-model.js';
import type { ListStep, ListTransaction } from './list-append.js';
import type { Operation } from './operation.js';
import type { RegisterInput, RegisterOutput } from './register-model.js';

export interface Mix {
  readonly clients: number;
  readonly operations: number;
  /** Share of operations whose answer is lost; half of them never take effect. */
  readonly lost: number;
}

/** Draws times and inputs, then carries them out in the order of their effects. */
export function randomHistory<Input, Output>(
  random: SeededRandom,
  { clients, operations, lost }: Mix,
  inputOf: (random: SeededRandom, id: number) => Input,
  carryOut: (input: Input) => Output,
): Operation<Input, Output>[] {
  const freeAt = Array.from({ length: clients }, () => random.integer(0, 5));
  const drawn = Array.from({ length: operations }, (_, at) => {
    const client = random.integer(0, clients - 1);
    const callNs = freeAt[client]! + random.integer(1, 6);
    const effectNs = callNs + random.integer(0, 8);
    const returnNs = effectNs + random.integer(0, 8);
    freeAt[client] = returnNs;
    const isLost = random.chance(lost);
    const neverHappens = isLost && random.chance(0.5);
    const lateNs = isLost ? random.integer(0, 50) : 0;
    return { id: at + 1, client, callNs, effectNs: effectNs + lateNs, returnNs, isLost, neverHappens };
  });
  return drawn
    .toSorted((a, b) => a.effectNs - b.effectNs || a.id - b.id)
    .map(({ id, client, callNs, returnNs, isLost, neverHappens }) => {
      const input = inputOf(random, id);
      const output = neverHappens ? null : carryOut(input);
      return {
        id,
        client,
        key: 'k',
        input,
        output: isLost ? null : output,
        callNs,
        returnNs: isLost ? Infinity : returnNs,
      };
    })
    .toSorted((a, b) => a.callNs - b.callNs || a.id - b.id);
}

export type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/** Without versions no answer carries one and nothing is asked by version. */
export function randomRegisterHistory(random: SeededRandom, mix: Mix, versions = true): RegisterOperation[] {
  const register = new Register(random, versions);
  return randomHistory(
    random,
    mix,
    (random, id) => registerInput(random, `v${id} `, register),
    (input) => register.carryOut(input),
  );
}

function registerInput(random: SeededRandom, value: string, register: Register): RegisterInput {
  const op = random.pick([
    'get',
    'get',
    'get',
    'put',
    'put',
    'append',
    'delete',
    'cas',
    register.isVersioned ? 'cas-version' : 'cas',
  ] as const);
  switch (op) {
    case 'get':
      return { op };
    case 'put':
    case 'append':
      return { op, value };
    case 'delete':
      return { op };
    case 'cas':
      return { op, expected: random.chance(0.7) ? register.value : 'v0 ', value };
    case 'cas-version':
      return { op, version: register.version + (random.chance(0.7) ? 0 : 1), value };
    default:
      return op satisfies never;
  }
}

/** Written without a look at the model, whose judgement it is for. */
class Register {
  value: string | null = null;
  version = 0;
  #revision = 0;
  readonly #random: SeededRandom;
  readonly isVersioned: boolean;

  constructor(random: SeededRandom, isVersioned: boolean) {
    this.#random = random;
    this.isVersioned = isVersioned;
  }

  carryOut(input: RegisterInput): RegisterOutput {
    const { version, ...output } = this.#carryOut(input);
    return this.isVersioned && version !== undefined ? { ...output, version } : output;
  }

  #carryOut(input: RegisterInput): RegisterOutput {
    // Other keys are written too.
    this.#revision += this.#random.integer(0, 2);
    switch (input.op) {
      case 'get':
        return { value: this.value, version: this.version };
      case 'put':
        this.#write(input.value);
        return { version: this.version };
      case 'append':
        this.#write((this.value ?? '') + input.value);
        return { version: this.version, length: this.value!.length };
      case 'delete': {
        const existed = this.value !== null;
        if (existed) this.#revision += 1;
        this.value = null;
        this.version = 0;
        return { existed };
      }
      case 'cas':
      case 'cas-version': {
        const swapped = input.op === 'cas' ? this.value === input.expected : this.version === input.version;
        if (swapped) this.#write(input.value);
        return swapped ? { swapped, version: this.version } : { swapped };
      }
      default:
        return input satisfies never;
    }
  }

  #write(value: string): void {
    this.value = value;
    this.#revision += 1;
    this.version = this.#revision;
  }
}

export function randomCounterHistory(
  random: SeededRandom,
  mix: Mix,
): Operation<CounterInput, CounterOutput>[] {
  let sum = 0;
  return randomHistory<CounterInput, CounterOutput>(
    random,
    mix,
    (random) => (random.chance(0.4) ? { op: 'get' } : { op: 'add', by: random.integer(-2, 3) }),
    (input) => {
      if (input.op === 'add') sum += input.by;
      return { value: sum };
    },
  );
}

/** Transactions of one to four steps on three keys. */
export function randomListHistory(random: SeededRandom, mix: Mix): ListTransaction[] {
  const lists = new Map<string, number[]>();
  const keys = ['x', 'y', 'z'] as const;
  return randomHistory<readonly ListStep[], readonly (readonly number[] | null)[]>(
    random,
    mix,
    (random, id) =>
      Array.from({ length: random.integer(1, 4) }, (_, at): ListStep => {
        const key = random.pick(keys);
        return random.chance(0.5) ? { op: 'read', key } : { op: 'append', key, value: id * 10 + at };
      }),
    (input) =>
      input.map((step) => {
        const list = lists.get(step.key) ?? [];
        if (step.op === 'read') return [...list];
        lists.set(step.key, [...list, step.value]);
        return null;
      }),
  );
}

/** One drawn operation that `change` gives something for is replaced by it; null if there is none. */
export function mutated<T extends Operation>(
  random: SeededRandom,
  history: readonly T[],
  change: (operation: T) => T | null,
): T[] | null {
  const changed = history.flatMap((operation, at) => {
    const other = change(operation);
    return other === null ? [] : [{ at, other }];
  });
  if (changed.length === 0) return null;
  const { at, other } = changed[random.integer(0, changed.length - 1)]!;
  return history.with(at, other);
}
