// Transactions that append to lists and read them, judged in time linear in the history: what is appended is unique,
// so every read tells the order of the appends before it. From that order follow the dependencies between
// transactions, and a cycle of them is an anomaly (after Adya, and Kingsbury and Alvaro's Elle).
// With the order of real time among the dependencies the same finds whatever is not strictly serializable.

import { DependencyGraph, type Edge, type EdgeKind } from './dependency-graph.js';
import type { Operation } from './operation.js';

export type ListStep =
  | { readonly op: 'append'; readonly key: string; readonly value: number }
  | { readonly op: 'read'; readonly key: string };

/** Its `key` says nothing: a transaction may touch several. The output is the list of each read, null for an append. */
export type ListTransaction = Operation<readonly ListStep[], readonly (readonly number[] | null)[]>;

export type AnomalyKind =
  | 'garbage' // read what nobody appended
  | 'aborted-read' // G1a: read what a transaction appended that was known not to happen
  | 'intermediate-read' // G1b: saw a transaction half done
  | 'internal' // a transaction contradicts itself
  | 'duplicate' // one append twice in a list
  | 'incompatible-order' // two reads of which neither continues the other
  | 'lost-update' // two transactions read the same list and both appended to it
  | 'G0' // appends alone form a cycle
  | 'G1c' // appends and reads of them
  | 'G-single' // with exactly one read that came too early
  | 'G2' // with several
  | 'G0-realtime'
  | 'G1c-realtime'
  | 'G-single-realtime'
  | 'G2-realtime';

export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly key: string;
  /** The transactions' ids; for a cycle in its order. */
  readonly transactions: readonly number[];
  readonly explanation: string;
}

const CYCLES: readonly [AnomalyKind, readonly EdgeKind[], 'any' | 'one' | 'many'][] = [
  ['G0', ['ww'], 'any'],
  ['G1c', ['ww', 'wr'], 'any'],
  ['G-single', ['ww', 'wr'], 'one'],
  ['G2', ['ww', 'wr', 'rw'], 'many'],
  ['G0-realtime', ['ww', 'rt'], 'any'],
  ['G1c-realtime', ['ww', 'wr', 'rt'], 'any'],
  ['G-single-realtime', ['ww', 'wr', 'rt'], 'one'],
  ['G2-realtime', ['ww', 'wr', 'rw', 'rt'], 'many'],
];

/** All anomalies found, the plainest first; of cycles one for each component and kind at most. `aborted`: surely not executed. */
export function checkLists(
  history: readonly ListTransaction[],
  aborted: readonly ListTransaction[] = [],
): Anomaly[] {
  return new ListCheck(history, aborted).run();
}

interface Append {
  readonly transaction: number;
  /** No later step of the transaction appends to the same key. */
  readonly isLast: boolean;
}

interface KeyFacts {
  readonly appends: Map<number, Append>;
  readonly reads: { transaction: number; list: readonly number[] }[];
  /** The longest list read. */
  order: readonly number[];
}

class ListCheck {
  readonly #history: readonly ListTransaction[];
  readonly #aborted: Map<string, number>;
  readonly #keys = new Map<string, KeyFacts>();
  readonly #graph: DependencyGraph;
  readonly #anomalies: Anomaly[] = [];

  constructor(history: readonly ListTransaction[], aborted: readonly ListTransaction[]) {
    this.#history = history.toSorted((a, b) => a.callNs - b.callNs || a.id - b.id);
    this.#graph = new DependencyGraph(history.length);
    this.#aborted = new Map(
      aborted.flatMap(({ id, input }) =>
        input.flatMap((step) => (step.op === 'append' ? [[`${step.key} ${step.value}`, id] as const] : [])),
      ),
    );
  }

  run(): Anomaly[] {
    for (const index of this.#history.keys()) this.#collect(index);
    for (const [key, facts] of this.#keys) {
      this.#checkReads(key, facts);
      this.#addDependencies(key, facts);
      this.#checkUpdates(key, facts);
    }
    this.#addRealTime();
    this.#findCycles();
    return this.#anomalies;
  }

  #report(kind: AnomalyKind, key: string, indexes: readonly number[], explanation: string): void {
    const transactions = indexes.map((index) => this.#history[index]!.id);
    this.#anomalies.push({ kind, key, transactions, explanation });
  }

  #facts(key: string): KeyFacts {
    let facts = this.#keys.get(key);
    if (facts === undefined) this.#keys.set(key, (facts = { appends: new Map(), reads: [], order: [] }));
    return facts;
  }

  /** Notes what a transaction appended and read from outside, and holds its reads against its own appends. */
  #collect(index: number): void {
    const { input, output } = this.#history[index]!;
    const last = new Map<string, number>();
    for (const [at, step] of input.entries()) if (step.op === 'append') last.set(step.key, at);
    const known = new Map<string, { before: readonly number[] | null; own: number[] }>();
    for (const [at, step] of input.entries()) {
      const facts = this.#facts(step.key);
      let view = known.get(step.key);
      if (view === undefined) known.set(step.key, (view = { before: null, own: [] }));
      if (step.op === 'append') {
        facts.appends.set(step.value, { transaction: index, isLast: last.get(step.key) === at });
        view.own.push(step.value);
        continue;
      }
      const list = output?.[at];
      if (list === undefined || list === null) continue;
      const before = list.slice(0, Math.max(0, list.length - view.own.length));
      const expected = [...(view.before ?? before), ...view.own];
      if (!isSame(list, expected))
        this.#report(
          'internal',
          step.key,
          [index],
          `read [${list.join(' ')}] where [${expected.join(' ')}] was due`,
        );
      else if (view.before === null) {
        view.before = before;
        facts.reads.push({ transaction: index, list: before });
      }
      if (list.length > facts.order.length) facts.order = list;
    }
  }

  #checkReads(key: string, { appends, reads, order }: KeyFacts): void {
    if (new Set(order).size < order.length) {
      const twice = order.find((value, at) => order.indexOf(value) !== at)!;
      this.#report('duplicate', key, ownersOf(appends, [twice]), `[${order.join(' ')}] has ${twice} twice`);
    }
    const strange = new Set<number>();
    for (const { transaction, list } of reads) {
      for (const value of list) {
        if (appends.has(value) || strange.has(value)) continue;
        strange.add(value);
        const culprit = this.#aborted.get(`${key} ${value}`);
        if (culprit === undefined)
          this.#report('garbage', key, [transaction], `read ${value}, which nobody appended`);
        else
          this.#report(
            'aborted-read',
            key,
            [transaction],
            `read ${value} of ${culprit}, which did not happen`,
          );
      }
      const last = appends.get(list.at(-1) ?? NaN);
      if (last !== undefined && !last.isLast && last.transaction !== transaction)
        this.#report('intermediate-read', key, [last.transaction, transaction], `read [${list.join(' ')}]`);
      if (!isSame(list, order.slice(0, list.length)))
        this.#report(
          'incompatible-order',
          key,
          [transaction],
          `read [${list.join(' ')}], others read [${order.join(' ')}]`,
        );
    }
  }

  #addDependencies(key: string, { appends, reads, order }: KeyFacts): void {
    const writerOf = (at: number): number | undefined => appends.get(order[at]!)?.transaction;
    for (let at = 1; at < order.length; at += 1) {
      const [before, after] = [writerOf(at - 1), writerOf(at)];
      if (before !== undefined && after !== undefined) this.#graph.add(before, after, 'ww', key);
    }
    // An append with an answer that no read shows came after all that was read.
    const observed = new Set(order);
    const unseen = new Set<number>();
    for (const [value, { transaction }] of appends)
      if (!observed.has(value) && this.#history[transaction]!.output !== null) unseen.add(transaction);
    const lastWriter = order.length > 0 ? writerOf(order.length - 1) : undefined;
    if (lastWriter !== undefined) for (const writer of unseen) this.#graph.add(lastWriter, writer, 'ww', key);
    for (const { transaction, list } of reads) {
      if (!isSame(list, order.slice(0, list.length))) continue;
      const writer = list.length > 0 ? writerOf(list.length - 1) : undefined;
      if (writer !== undefined) this.#graph.add(writer, transaction, 'wr', key);
      const next = list.length < order.length ? writerOf(list.length) : undefined;
      if (next !== undefined) this.#graph.add(transaction, next, 'rw', key);
      else if (list.length === order.length)
        for (const writer of unseen) this.#graph.add(transaction, writer, 'rw', key);
    }
  }

  /** Of those that read the same list and then appended, only one can have had the list it read. */
  #checkUpdates(key: string, { appends, reads }: KeyFacts): void {
    const writers = new Set([...appends.values()].map(({ transaction }) => transaction));
    const readers = new Map<string, number[]>();
    for (const { transaction, list } of reads) {
      if (!writers.has(transaction)) continue;
      const read = String(list);
      const others = readers.get(read);
      if (others === undefined) readers.set(read, [transaction]);
      else others.push(transaction);
    }
    for (const [read, transactions] of readers)
      if (transactions.length > 1)
        this.#report('lost-update', key, transactions, `all read [${read}] and appended to it`);
  }

  /** Edges to each call from the returns just before it; those further back follow from them. */
  #addRealTime(): void {
    const returns = [...this.#history.keys()]
      .filter((index) => this.#history[index]!.returnNs !== Infinity)
      .toSorted((a, b) => this.#history[a]!.returnNs - this.#history[b]!.returnNs);
    let front: number[] = [];
    let at = 0;
    for (const [index, { callNs }] of this.#history.entries()) {
      for (; at < returns.length && this.#history[returns[at]!]!.returnNs < callNs; at += 1) {
        const returned = returns[at]!;
        const { callNs: itsCallNs } = this.#history[returned]!;
        front = front.filter((earlier) => this.#history[earlier]!.returnNs >= itsCallNs);
        front.push(returned);
      }
      for (const earlier of front) this.#graph.add(earlier, index, 'rt');
    }
  }

  #findCycles(): void {
    const explained = new Set<number>();
    for (const [kind, kinds, early] of CYCLES) {
      const via = new Set(kinds);
      const whole = early === 'any' ? via : new Set<EdgeKind>([...kinds, 'rw']);
      for (const component of this.#graph.components(whole)) {
        // A plainer cycle was found among these already.
        if (component.some((vertex) => explained.has(vertex))) continue;
        const cycle = this.#cycle(component, via, whole, early);
        if (cycle === null) continue;
        for (const vertex of component) explained.add(vertex);
        this.#report(
          kind,
          [...new Set(cycle.map((edge) => edge.key).filter((key) => key !== ''))].join(' '),
          cycle.map((edge) => edge.from),
          cycle.map((edge) => this.#explain(edge)).join('; '),
        );
      }
    }
  }

  #cycle(
    component: readonly number[],
    via: ReadonlySet<EdgeKind>,
    whole: ReadonlySet<EdgeKind>,
    early: 'any' | 'one' | 'many',
  ): Edge[] | null {
    const inside = new Set(component);
    let shortest: Edge[] | null = null;
    for (const edge of this.#graph.edgesWithin(component, whole)) {
      if (early !== 'any' && edge.kind !== 'rw') continue;
      const back = this.#graph.path(edge.to, edge.from, via, inside);
      if (back !== null && (shortest === null || back.length + 1 < shortest.length))
        shortest = [edge, ...back];
      if (shortest?.length === 2) break;
    }
    return shortest;
  }

  #explain({ from, to, kind, key }: Edge): string {
    const [a, b] = [`T${this.#history[from]!.id}`, `T${this.#history[to]!.id}`];
    if (kind === 'rt') return `${a} had returned before ${b} was called`;
    if (kind === 'ww') return `${b} appended to ${key} after ${a}`;
    return kind === 'wr' ? `${b} read ${key} as ${a} left it` : `${a} read ${key} without what ${b} appended`;
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

function ownersOf(appends: ReadonlyMap<number, Append>, values: readonly number[]): number[] {
  return values.flatMap((value) => appends.get(value)?.transaction ?? []);
}
