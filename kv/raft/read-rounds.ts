// Linearizable reads of a leader: a read that arrives is answered by a heartbeat round that begins afterwards and that a
// quorum answers (Raft thesis 6.4). Reads that arrive while a round is under way share the next one. core.ts sends the
// rounds and reports the answers; the tick of a round's start is also what a lease is counted from.

export interface ReadRequester {
  /** Null: asked for here, answered with `contexts`; else a member's request `id`. */
  readonly from: number | null;
  readonly id: number;
  readonly contexts: readonly unknown[];
}

export interface ReadyReads {
  readonly index: number;
  readonly requesters: readonly ReadRequester[];
}

interface Round {
  readonly number: number;
  readonly startTick: number;
  readonly index: number;
  readonly requesters: readonly ReadRequester[];
}

export class ReadRounds {
  #latest = 0;
  #rounds: Round[] = [];
  #waiting: ReadRequester[] = [];
  #waitingCount = 0;
  /** Start of the newest round that a quorum answered; -Infinity before the first. */
  #confirmedTick = -Infinity;

  get latest(): number {
    return this.#latest;
  }

  get confirmedTick(): number {
    return this.#confirmedTick;
  }

  /** Requests that are not answered yet. */
  get count(): number {
    return this.#waitingCount;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** A round that carries reads is under way. */
  get isBusy(): boolean {
    return this.#rounds.some((round) => round.requesters.length > 0);
  }

  add(requester: ReadRequester): void {
    this.#waiting.push(requester);
    this.#waitingCount += 1;
  }

  /** Begins a round: the waiting reads will be answered at `index`, if `takesReads`. Returns its number. */
  begin(nowTick: number, index: number, takesReads: boolean): number {
    this.#latest += 1;
    const requesters = takesReads ? this.#waiting : [];
    if (takesReads) this.#waiting = [];
    this.#rounds.push({ number: this.#latest, startTick: nowTick, index, requesters });
    return this.#latest;
  }

  /** What waits, to be answered without a round: under a lease. */
  takeWaiting(): readonly ReadRequester[] {
    const taken = this.#waiting;
    this.#waiting = [];
    this.#waitingCount -= taken.length;
    return taken;
  }

  /** A quorum answered `round` and so every earlier one. */
  confirm(round: number): ReadyReads[] {
    const end = this.#rounds.findIndex((each) => each.number > round);
    const done = this.#rounds.splice(0, end === -1 ? this.#rounds.length : end);
    const last = done.at(-1);
    if (last !== undefined) this.#confirmedTick = Math.max(this.#confirmedTick, last.startTick);
    const ready = done.filter((each) => each.requesters.length > 0);
    for (const { requesters } of ready) this.#waitingCount -= requesters.length;
    return ready;
  }

  /** Leadership is over: forgets everything and returns what was not answered. */
  end(): ReadRequester[] {
    const open = [...this.#rounds.flatMap((round) => round.requesters), ...this.#waiting];
    this.#rounds = [];
    this.#waiting = [];
    this.#waitingCount = 0;
    this.#confirmedTick = -Infinity;
    return open;
  }
}
