// One key that holds a number, from 0: add answers with the sum, get with what is there.

import type { Model } from './model.js';

export type CounterInput = { readonly op: 'add'; readonly by: number } | { readonly op: 'get' };

/** What an answer leaves out is not judged. */
export interface CounterOutput {
  readonly value?: number;
}

export const counterModel: Model<number, CounterInput, CounterOutput> = {
  name: 'counter',
  initial: 0,
  step(state, input, output) {
    const next = input.op === 'add' ? state + input.by : state;
    return output?.value === undefined || output.value === next ? [next] : [];
  },
  identity: String,
  isRead: (input) => input.op === 'get',
  describe: (input, output) =>
    `${input.op === 'add' ? `add(${input.by})` : 'get()'} → ${output === null ? 'unknown' : (output.value ?? 'done')}`,
};
