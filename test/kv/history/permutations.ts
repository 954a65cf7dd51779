// The same judgement as linearizability.ts by trying every order: for histories of a few operations alone.
// Shares nothing with the search but the model, so that each shows what is wrong with the other.

import type { Model } from './model.js';
import { isPending, type Operation } from './operation.js';

export function isLinearizableByTrying<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): boolean {
  return tryFrom(model, operations, model.initial);
}

function tryFrom<State, Input, Output>(
  model: Model<State, Input, Output>,
  left: readonly Operation<Input, Output>[],
  state: State,
): boolean {
  // What is pending may never happen.
  if (left.every(isPending)) return true;
  return left.some((operation) => {
    // Nothing may be ordered after an operation that was called only once it had returned.
    if (left.some((other) => other.returnNs < operation.callNs)) return false;
    const rest = left.filter((other) => other !== operation);
    return model.step(state, operation.input, operation.output).some((next) => tryFrom(model, rest, next));
  });
}
