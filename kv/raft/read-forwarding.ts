// Linearizable reads asked for at a follower: one request to the leader at a time, everything that arrives meanwhile
// shares the next. Request ids are never used twice, not even by a later life of this member, so an old answer cannot
// serve a new read. core.ts sends and receives.

interface Batch {
  readonly id: number;
  readonly contexts: unknown[];
  readonly sentTick: number;
  /** When the leader was asked last. */
  askedTick: number;
}

export class ReadForwarding {
  #nextId: number;
  #asked: Batch | null = null;
  #waiting: unknown[] = [];

  /** @param firstId random: what tells this life's requests from those of earlier ones */
  constructor(firstId: number) {
    this.#nextId = firstId;
  }

  get count(): number {
    return this.#waiting.length + (this.#asked?.contexts.length ?? 0);
  }

  add(context: unknown): void {
    this.#waiting.push(context);
  }

  /** The id to ask the leader with, or null if nothing waits or an answer is awaited. */
  ask(nowTick: number): number | null {
    if (this.#asked !== null || this.#waiting.length === 0) return null;
    this.#asked = { id: this.#nextId, contexts: this.#waiting, sentTick: nowTick, askedTick: nowTick };
    this.#nextId += 1;
    this.#waiting = [];
    return this.#asked.id;
  }

  /** The id to ask with once more, where the leader was not asked for `ticks`: question or answer may be lost. */
  askAgain(nowTick: number, ticks: number): number | null {
    if (this.#asked === null || nowTick - this.#asked.askedTick < ticks) return null;
    this.#asked.askedTick = nowTick;
    return this.#asked.id;
  }

  /** What the answer serves; empty if it is none we wait for. */
  answered(id: number): readonly unknown[] {
    if (this.#asked === null || this.#asked.id !== id) return [];
    const { contexts } = this.#asked;
    this.#asked = null;
    return contexts;
  }

  /** What has waited too long since it was asked for. */
  expired(nowTick: number, ticksMax: number): readonly unknown[] {
    if (this.#asked === null || nowTick - this.#asked.sentTick < ticksMax) return [];
    return this.answered(this.#asked.id);
  }

  /** The leader is another or none: everything fails. */
  end(): readonly unknown[] {
    const open = [...(this.#asked?.contexts ?? []), ...this.#waiting];
    this.#asked = null;
    this.#waiting = [];
    return open;
  }
}
