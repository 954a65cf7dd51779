// One operation that a client carried out: what it asked, what it was told and when, by one monotonic clock.
// recorder.ts collects them, linearizability.ts and list-append.ts judge them.
// Operations known not to have happened are left out of a history; those whose outcome nobody knows return at infinity.

export interface Operation<Input = unknown, Output = unknown> {
  /** Unique within a history. */
  readonly id: number;
  readonly client: number;
  /** Each key is judged alone. */
  readonly key: string;
  readonly input: Input;
  /** Null: the outcome is unknown; it took effect at some time after `callNs`, or never will. */
  readonly output: Output | null;
  readonly callNs: number;
  /** Infinity if the outcome is unknown. */
  readonly returnNs: number;
}

export function isPending(operation: Operation): boolean {
  return operation.returnNs === Infinity;
}

/** The operations of each key, in the order of their calls. */
export function byKey<Input, Output>(
  history: readonly Operation<Input, Output>[],
): Map<string, Operation<Input, Output>[]> {
  const keys = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const operations = keys.get(operation.key);
    if (operations === undefined) keys.set(operation.key, [operation]);
    else operations.push(operation);
  }
  for (const operations of keys.values()) operations.sort((a, b) => a.callNs - b.callNs || a.id - b.id);
  return keys;
}

/**
 * The history as it stood at `ns`: later calls have not been made, later returns are not known yet.
 * Whatever is linearizable is so at every earlier time too.
 */
export function until<Input, Output>(
  history: readonly Operation<Input, Output>[],
  ns: number,
): Operation<Input, Output>[] {
  const seen = history.filter((operation) => operation.callNs <= ns);
  return seen.map((operation) => (operation.returnNs <= ns ? operation : unanswered(operation)));
}

/** The same as it looks while nobody knows its outcome. */
export function unanswered<Call extends Omit<Operation, 'output' | 'returnNs'>>(
  call: Call,
): Call & { output: null; returnNs: number } {
  return { ...call, output: null, returnNs: Infinity };
}
