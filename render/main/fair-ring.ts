// Deficit round robin: flows take turns, and in each round every one may spend the same, whatever one piece of its work
// costs.
// The scheduler has one ring of drivers for each priority, and in each driver one of its jobs. Pure.
// What may be spent is a level that rises by a grant with every round; a flow whose spending is above it has overdrawn by
// less than one piece and waits. The grant is the largest piece that was spent last, so that a turn is one to a few pieces.
// Two flows that always have work are never further apart than two of the largest pieces.

/** The first grant, when nothing was spent yet: one piece each. */
const GRANT_MIN = 1e-3;

interface Flow<T> {
  readonly value: T;
  /** The level up to which it has spent. */
  spent: number;
  lastCost: number;
  before: Flow<T>;
  after: Flow<T>;
}

export class FairRing<T> {
  readonly #flows = new Map<T, Flow<T>>();
  #cursor: Flow<T> | null = null;
  #level = 0;
  #grant = 0;

  /** A new flow has its turn after all that are there, in this round. */
  add(value: T): void {
    if (this.#flows.has(value)) return;
    const flow = { value, spent: this.#level - this.#grant, lastCost: 0 } as Flow<T>;
    const cursor = this.#cursor;
    if (cursor === null) {
      flow.before = flow;
      flow.after = flow;
      this.#cursor = flow;
    } else {
      flow.before = cursor.before;
      flow.after = cursor;
      cursor.before.after = flow;
      cursor.before = flow;
    }
    this.#flows.set(value, flow);
  }

  remove(value: T): boolean {
    const flow = this.#flows.get(value);
    if (flow === undefined) return false;
    this.#flows.delete(value);
    if (flow.after === flow) {
      this.#cursor = null;
    } else {
      flow.before.after = flow.after;
      flow.after.before = flow.before;
      if (this.#cursor === flow) this.#cursor = flow.after;
    }
    return true;
  }

  /**
   * Lets the flow whose turn it is do one piece of work.
   * @param spend does it and returns its cost, above 0; or 0 when this flow can do nothing now. It may remove that flow.
   * @returns the cost, or 0 when no flow could do anything
   */
  serve(spend: (value: T) => number): number {
    const cost = this.#serveRound(spend);
    if (cost > 0 || this.#flows.size === 0) return cost;
    // A flow that could do nothing has missed its turn. Those that have overdrawn may do more in the next round.
    for (let round = 0; round < 2; round += 1) {
      if (!this.#nextRound()) return 0;
      const cost = this.#serveRound(spend);
      if (cost > 0) return cost;
    }
    return 0;
  }

  has(value: T): boolean {
    return this.#flows.has(value);
  }

  get size(): number {
    return this.#flows.size;
  }

  #serveRound(spend: (value: T) => number): number {
    for (let left = this.#flows.size; left > 0; left -= 1) {
      const flow = this.#cursor;
      if (flow === null) return 0;
      const cost = flow.spent < this.#level ? spend(flow.value) : 0;
      if (cost > 0) {
        flow.spent += cost;
        flow.lastCost = cost;
        if (flow.spent < this.#level) return cost;
      }
      if (this.#cursor === flow) this.#cursor = flow.after;
      if (cost > 0) return cost;
    }
    return 0;
  }

  /** False when every flow had its turn in the round that ends, so that another one would change nothing. */
  #nextRound(): boolean {
    let owing = Number.POSITIVE_INFINITY;
    let grant = GRANT_MIN;
    for (const flow of this.#flows.values()) {
      if (flow.spent >= this.#level) owing = Math.min(owing, flow.spent - this.#level);
      else flow.spent = this.#level;
      grant = Math.max(grant, flow.lastCost);
    }
    if (owing === Number.POSITIVE_INFINITY) return false;
    this.#grant = Math.max(grant, owing + GRANT_MIN);
    this.#level += this.#grant;
    return true;
  }
}
