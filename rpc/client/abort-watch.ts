// The calls that an AbortSignal cancels, behind one listener: a thousand calls with one signal are not a thousand
// listeners, of which Node would warn. attempted-call.ts and hedged-call.ts watch here for as long as they last.

/** A call that a signal cancels. */
export interface Abortable {
  aborted(signal: AbortSignal): void;
}

interface Watch {
  readonly calls: Set<Abortable>;
  readonly listener: () => void;
}

const watches = new WeakMap<AbortSignal, Watch>();

/** `call` hears of the abort once, unless it unwatches before. `signal` has not aborted yet. */
export function watchAbort(signal: AbortSignal, call: Abortable): void {
  let watch = watches.get(signal);
  if (watch === undefined) {
    const calls = new Set<Abortable>();
    watch = { calls, listener: () => abortAll(signal, calls) };
    watches.set(signal, watch);
    signal.addEventListener('abort', watch.listener, { once: true });
  }
  watch.calls.add(call);
}

export function unwatchAbort(signal: AbortSignal, call: Abortable): void {
  const watch = watches.get(signal);
  if (watch === undefined || !watch.calls.delete(call) || watch.calls.size > 0) return;
  signal.removeEventListener('abort', watch.listener);
  watches.delete(signal);
}

function abortAll(signal: AbortSignal, calls: Set<Abortable>): void {
  watches.delete(signal);
  for (const call of calls) call.aborted(signal); // those that end meanwhile, by one another, hear of nothing
}
