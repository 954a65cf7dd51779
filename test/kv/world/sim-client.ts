// One simulated client: one request at a time, at whichever member it thinks leads, over a network of its own that loses
// requests and answers. A write under a session goes again, under its sequence, until it is answered or time is up; one
// outside of sessions goes once. Everything it asks and hears goes into a history.

import type { KvError } from '../../../kv/errors.js';
import type { Reply } from '../../../kv/machine/reply.js';
import type { Operation } from '../history/operation.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import {
  type CommandInit,
  decoded,
  type InSession,
  nativeItems,
  NO_SESSION,
  type Told,
  toldBy,
} from './commands.js';
import type { PartsWorld } from './parts-world.js';
import type { SimMember } from './sim-member.js';

export interface ClientWeather {
  delayMaxMs: number;
  /** Of a request, and of an answer. */
  loss: number;
  /** How long it waits for an answer before it asks again. */
  attemptMs: number;
  /** How long it asks for one thing. */
  patienceMs: number;
}

/** How it ended. Null: nobody knows whether it was carried out; 'never': it surely was not. */
export type Ended = Told | readonly Reply[] | null | 'never';

export interface Request {
  /** A write in the session. */
  readonly write?: CommandInit;
  /** A write outside of any: asked once. */
  readonly items?: () => ReturnType<typeof nativeItems>;
  readonly read?: CommandInit;
  readonly done: (ended: Ended) => void;
}

interface Attempted {
  readonly request: Request;
  readonly session: InSession;
  readonly untilMs: number;
  /** An attempt may have been carried out. */
  mayHaveHappened: boolean;
  attempts: number;
  isOver: boolean;
}

export interface History {
  readonly operations: Operation[];
  nowNs(): number;
}

export class SimClient {
  readonly id: number;
  readonly #world: PartsWorld;
  readonly #random: SeededRandom;
  readonly #weather: ClientWeather;
  readonly #sessionTtlMs: number;
  #leader: SimMember | null = null;
  #session = 0;
  #sequence = 0;
  #underWay: Attempted | null = null;
  sessionsLost = 0;
  attempts = 0;

  constructor(
    id: number,
    world: PartsWorld,
    random: SeededRandom,
    weather: ClientWeather,
    sessionTtlMs: number,
  ) {
    this.id = id;
    this.#world = world;
    this.#random = random;
    this.#weather = { ...weather };
    this.#sessionTtlMs = sessionTtlMs;
  }

  get isIdle(): boolean {
    return this.#underWay === null;
  }

  ask(request: Request): void {
    if (request.write !== undefined && this.#session === 0) {
      this.#open(
        () => this.#begin(request),
        () => request.done('never'),
      );
      return;
    }
    this.#begin(request);
  }

  /** Its network gets well. */
  calm(): void {
    this.#weather.loss = 0;
    this.#weather.attemptMs = Math.max(this.#weather.attemptMs, 1000);
  }

  /** Gives up what is under way: nobody waits for it any more. */
  giveUp(): void {
    if (this.#underWay !== null) this.#end(this.#underWay, null);
  }

  #open(then: () => void, failed: () => void): void {
    this.#start({
      items: () => nativeItems({ sessionOpen: { ttlMs: BigInt(this.#sessionTtlMs) } }, NO_SESSION),
      done: (ended) => {
        if (ended === null || ended === 'never') return failed();
        const told = toldBy(ended as readonly Reply[]); // of items
        if (told.error !== undefined) return failed(); // a disk is full
        this.#session = Number(told.session?.clientId ?? 0);
        this.#sequence = 0;
        then();
      },
    });
  }

  #begin(request: Request): void {
    if (request.write !== undefined) this.#sequence += 1;
    this.#start(request);
  }

  #start(request: Request): void {
    const attempted: Attempted = {
      request,
      session: { client: this.#session, sequence: this.#sequence, acknowledged: this.#sequence },
      untilMs: this.#world.now() + this.#weather.patienceMs,
      mayHaveHappened: false,
      attempts: 0,
      isOver: false,
    };
    this.#underWay = attempted;
    this.#attempt(attempted);
  }

  #attempt(attempted: Attempted): void {
    if (attempted.isOver) return;
    const world = this.#world;
    const { request } = attempted;
    const mayRepeat = request.items === undefined || !attempted.mayHaveHappened;
    if (world.now() >= attempted.untilMs || !mayRepeat) {
      this.#end(attempted, attempted.mayHaveHappened ? null : 'never');
      return;
    }
    attempted.attempts += 1;
    this.attempts += 1;
    const attempt = attempted.attempts;
    const member = this.#pick();
    if (member === null) {
      world.later(this.#random.integer(10, 100), () => this.#attempt(attempted));
      return;
    }
    if (request.read === undefined) attempted.mayHaveHappened = true;
    const isCurrent = (): boolean => !attempted.isOver && attempted.attempts === attempt;
    if (!this.#random.chance(this.#weather.loss)) {
      world.later(this.#delayMs(), () => {
        // Also when it was given up meanwhile: nothing calls a request back.
        this.#reach(attempted, member, (error, ended) => {
          if (this.#random.chance(this.#weather.loss)) return;
          world.later(this.#delayMs(), () => {
            const counts = error === null ? !attempted.isOver : isCurrent();
            if (counts) this.#answered(attempted, member, error, ended);
          });
        });
      });
    }
    world.later(this.#weather.attemptMs + this.#random.integer(0, 20), () => {
      if (!isCurrent()) return;
      this.#leader = null;
      this.#attempt(attempted);
    });
  }

  #reach(attempted: Attempted, member: SimMember, done: (error: KvError | null, ended: Ended) => void): void {
    const { request, session } = attempted;
    const { life } = member;
    if (!member.isUp) return;
    member.run(() => {
      const { node } = member;
      if (node === null) return;
      const timeoutMs = this.#weather.attemptMs;
      if (request.read !== undefined) {
        const command = decoded(request.read);
        node.read((error) => {
          if (member.life !== life) return;
          done(error, error === null ? (node.machine.queryNative(command) as Told) : null); // the executor's type
        }, timeoutMs);
        return;
      }
      const items = request.items === undefined ? nativeItems(request.write ?? {}, session) : request.items();
      node.submit(
        items,
        (error, replies) => {
          if (member.life === life) done(error, replies);
        },
        timeoutMs,
      );
    });
  }

  #answered(attempted: Attempted, member: SimMember, error: KvError | null, ended: Ended): void {
    if (error !== null) {
      if (attempted.attempts === 1 && error.code !== 'KV_OUTCOME_UNKNOWN') attempted.mayHaveHappened = false;
      this.#leader = null;
      this.#world.later(this.#random.integer(5, 100), () => this.#attempt(attempted));
      return;
    }
    this.#leader = member;
    const { request } = attempted;
    if (request.write === undefined) {
      this.#end(attempted, ended);
      return;
    }
    const told = toldBy(ended as readonly Reply[]); // of a write
    switch (told.error?.code) {
      case 'KV_SESSION_EXPIRED':
        this.#session = 0;
        this.sessionsLost += 1;
        this.#end(attempted, attempted.attempts === 1 ? 'never' : null);
        return;
      case 'KV_QUOTA': // a disk is full
        this.#end(attempted, 'never');
        return;
      case 'KV_REPLY_LOST':
        this.#end(attempted, null);
        return;
      case 'KV_SEQUENCE_OLD':
      case 'KV_WINDOW_FULL':
        this.#world.fail(`client ${this.id} was told ${told.error.code}: ${told.error.message}`);
        return;
      default:
        this.#end(attempted, told);
    }
  }

  #end(attempted: Attempted, ended: Ended): void {
    if (attempted.isOver) return;
    attempted.isOver = true;
    if (this.#underWay === attempted) this.#underWay = null;
    attempted.request.done(ended);
  }

  #pick(): SimMember | null {
    if (this.#leader !== null && this.#leader.isUp && this.#random.chance(0.8)) return this.#leader;
    const { up } = this.#world;
    const [leader] = this.#world.leaders;
    if (leader !== undefined && this.#random.chance(0.5)) return leader;
    return up.length === 0 ? null : up[this.#random.integer(0, up.length - 1)]!; // within length
  }

  #delayMs(): number {
    return this.#random.integer(0, this.#weather.delayMaxMs);
  }
}
