// Says why a history is not linearizable, for people: the shortest start of it that already is not, without the reads
// that do not matter, as a timeline in text or as a page of HTML.
// Only reads are left out: without a write the rest could be wrong for that reason alone.

import { check, type CheckOptions, type Verdict } from './linearizability.js';
import type { Model } from './model.js';
import { isPending, type Operation, until } from './operation.js';

export interface Violation {
  readonly key: string;
  /** By call; what had not returned when the violation was complete is pending here. */
  readonly operations: readonly Operation[];
  /** The longest start of an order. */
  readonly order: readonly Operation[];
  readonly stuck: Operation;
  /** What each was and was answered, by id. */
  readonly descriptions: ReadonlyMap<number, string>;
}

const COLUMNS_MAX = 100;
const SHRINK_STEPS_MAX = 200_000;

/** Null if no violation is found within the budget. */
export function explain<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  options: CheckOptions = {},
): Violation | null {
  const fails = (some: readonly Operation<Input, Output>[], within: CheckOptions = options): boolean =>
    check(model, some, within).kind === 'violation';
  if (!fails(operations)) return null;
  const prefix = shortestFailing(operations, fails);
  const few = withoutReads(model, prefix, (some) => fails(some, { stepsMax: SHRINK_STEPS_MAX }));
  const verdict: Verdict<Input, Output> = check(model, few, options);
  if (verdict.kind !== 'violation') return null;
  return {
    key: few[0]?.key ?? '',
    operations: few,
    order: verdict.order,
    stuck: verdict.stuck,
    descriptions: new Map(few.map(({ id, input, output }) => [id, model.describe(input, output)])),
  };
}

/** A history that is linearizable was so at every time before: the first return at which it is not is found by halving. */
function shortestFailing<Input, Output>(
  operations: readonly Operation<Input, Output>[],
  fails: (some: readonly Operation<Input, Output>[]) => boolean,
): Operation<Input, Output>[] {
  const returns = operations
    .filter((operation) => !isPending(operation))
    .map((operation) => operation.returnNs)
    .toSorted((a, b) => a - b);
  let low = 0;
  let high = returns.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fails(until(operations, returns[middle]!))) high = middle;
    else low = middle + 1;
  }
  return until(operations, returns[high] ?? Infinity).toSorted((a, b) => a.callNs - b.callNs || a.id - b.id);
}

/** Leaves out reads, many at a time and then fewer, as long as what remains still fails. */
function withoutReads<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  fails: (some: readonly Operation<Input, Output>[]) => boolean,
): readonly Operation<Input, Output>[] {
  // A read without an answer says nothing.
  let kept = operations.filter((operation) => !(isPending(operation) && model.isRead(operation.input)));
  for (let size = kept.length; size >= 1; size = size >> 1) {
    const reads = kept.filter((operation) => model.isRead(operation.input));
    for (let at = 0; at < reads.length; at += size) {
      const part = new Set(reads.slice(at, at + size));
      const rest = kept.filter((operation) => !part.has(operation));
      if (fails(rest)) kept = rest;
    }
  }
  return kept;
}

/** One line per operation: its span of time (columns are calls and returns, not durations), then what it was. */
export function asText(violation: Violation): string {
  const { operations, order, stuck, descriptions } = violation;
  const { columnOf, width } = columns(operations);
  const place = new Map(order.map((operation, at) => [operation.id, at + 1]));
  const scale = Math.min(1, COLUMNS_MAX / width);
  const lines = operations.map((operation) => {
    const from = Math.floor(columnOf(operation.callNs) * scale);
    const to = isPending(operation)
      ? Math.ceil(width * scale)
      : Math.floor(columnOf(operation.returnNs) * scale);
    const span = isPending(operation)
      ? `[${'-'.repeat(to - from)}`
      : from === to
        ? '|'
        : `[${'-'.repeat(to - from - 1)}]`;
    const number = operation.id === stuck.id ? '!!' : String(place.get(operation.id) ?? '');
    const lane = `${' '.repeat(from)}${span}`.padEnd(Math.ceil(width * scale) + 1);
    return `${number.padStart(4)} client ${String(operation.client).padEnd(3)} ${lane} #${operation.id} ${descriptions.get(operation.id)}`;
  });
  return [...summary(violation), ...lines, ''].join('\n');
}

/** The same as a page that needs nothing else: a lane per client, operations as bars, the numbers are the order found. */
export function asHtml(violation: Violation): string {
  const { operations, order, stuck, descriptions } = violation;
  const { columnOf, width } = columns(operations);
  const place = new Map(order.map((operation, at) => [operation.id, at + 1]));
  const clients = [...new Set(operations.map((operation) => operation.client))].toSorted((a, b) => a - b);
  const lanes = clients.map((client) => {
    const bars = operations
      .filter((operation) => operation.client === client)
      .map((operation) => {
        const from = columnOf(operation.callNs);
        const to = isPending(operation) ? width : columnOf(operation.returnNs);
        const kind = operation.id === stuck.id ? 'stuck' : isPending(operation) ? 'pending' : 'done';
        const number = place.get(operation.id);
        const label = `${number === undefined ? '' : `${number}: `}${descriptions.get(operation.id)}`;
        return `<div class="${kind}" style="left:${from * 8}em;width:${Math.max(1, to - from) * 8 - 0.5}em" title="#${operation.id}, ${operation.callNs} to ${operation.returnNs} ns">${escaped(label)}</div>`;
      });
    return `<section><b>client ${client}</b>${bars.join('')}</section>`;
  });
  return `<!doctype html><meta charset="utf-8"><title>${escaped(violation.key)}</title><style>
body{font:13px sans-serif}section{position:relative;height:3em;margin-left:6em;border-top:1px solid #ccc}
b{position:absolute;left:-6em}div{position:absolute;top:.4em;height:2em;line-height:2em;overflow:hidden;white-space:nowrap;border-radius:4px;padding:0 .3em;box-sizing:border-box;background:#cde8cd}
.pending{background:#eee}.stuck{background:#f6b3b3}</style>${summary(violation)
    .map((line) => `<p>${escaped(line)}</p>`)
    .join('')}${lanes.join('')}\n`;
}

function summary({ key, operations, order, stuck, descriptions }: Violation): string[] {
  return [
    `key ${key}: not linearizable. Of ${operations.length} operations ${order.length} can be ordered (numbers), and`,
    `whatever the order, then comes too late or does not fit: #${stuck.id} ${descriptions.get(stuck.id)}`,
  ];
}

/** Every different time of a call or return gets a column. */
function columns(operations: readonly Operation[]): { columnOf: (ns: number) => number; width: number } {
  const times = operations.flatMap(({ callNs, returnNs }) =>
    returnNs === Infinity ? [callNs] : [callNs, returnNs],
  );
  const distinct = [...new Set(times)].toSorted((a, b) => a - b);
  const at = new Map(distinct.map((ns, column) => [ns, column]));
  return { columnOf: (ns) => at.get(ns)!, width: Math.max(1, distinct.length) };
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
