// The clients of a simulated cluster and what they want of it: registers written in every way there is, counters, several
// keys at once, ranges, keys that die by time or with a lease. Writes down who asked what and heard what, when, and
// judges it at the end: every key must look like one object (test/kv/history).

import { type CounterInput, counterModel, type CounterOutput } from '../history/counter-model.js';
import { check } from '../history/linearizability.js';
import { byKey, type Operation } from '../history/operation.js';
import { type RegisterInput, registerModel, type RegisterOutput } from '../history/register-model.js';
import { asText, explain } from '../history/report.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { ErrorReply, type Reply } from '../../../kv/machine/reply.js';
import { bytesOf, type CommandInit, redisItems, type Told, textOf, valueOf } from './commands.js';
import type { PartsWorld } from './parts-world.js';
import { type ClientWeather, type Ended, SimClient } from './sim-client.js';

export interface FleetOptions {
  readonly clientCount: number;
  readonly keyCount: number;
  readonly weather: ClientWeather;
  readonly sessionTtlMs: number;
  /** Up to so long between two requests of a client. */
  readonly thinkMs: number;
  /** Share of what has nothing to do with registers: keys with deadlines, leases. */
  readonly passing: number;
}

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;
type CounterOperation = Operation<CounterInput, CounterOutput>;

const REGISTER = registerModel('none');
/** Of the search, for one key. */
const STEPS_MAX = 400_000;
/** A value is put anew when it would be longer. */
const VALUE_BYTES_MAX = 200;

export class Fleet {
  readonly clients: readonly SimClient[];
  readonly #world: PartsWorld;
  readonly #random: SeededRandom;
  readonly #options: FleetOptions;
  readonly #registers: RegisterOperation[] = [];
  readonly #counters: CounterOperation[] = [];
  readonly #last = new Map<string, string | null>();
  #nextId = 1;
  #nextValue = 1;
  #lastNs = 0;
  #isOver = false;
  undecided = 0;

  constructor(world: PartsWorld, options: FleetOptions) {
    this.#world = world;
    this.#options = options;
    this.#random = new SeededRandom(world.seed ^ 0xf1ee7);
    this.clients = Array.from({ length: options.clientCount }, (_, at) => {
      const random = new SeededRandom(this.#random.integer(1, 2 ** 31));
      return new SimClient(at + 1, world, random, options.weather, options.sessionTtlMs);
    });
  }

  get operationCount(): number {
    return this.#registers.length + this.#counters.length;
  }

  get answeredCount(): number {
    return [...this.#registers, ...this.#counters].filter(({ returnNs }) => returnNs !== Infinity).length;
  }

  start(): void {
    for (const client of this.clients) this.#think(client);
  }

  /** Nobody asks for anything new. */
  stop(): void {
    this.#isOver = true;
  }

  get isIdle(): boolean {
    return this.clients.every(({ isIdle }) => isIdle);
  }

  /** Asks for every key once, one after the other; `then` when all were answered. */
  readAll(then: () => void): void {
    const client = this.clients[0]!; // there is one
    const keys = [
      ...Array.from({ length: this.#options.keyCount }, (_, at) => `r${at}`),
      ...Array.from({ length: COUNTERS }, (_, at) => `n${at}`),
    ];
    const next = (): void => {
      const key = keys.shift();
      if (key === undefined) then();
      else if (key.startsWith('r')) this.#get(client, key, next);
      else this.#count(client, key, null, next);
    };
    next();
  }

  /** @throws Violation through the world: a key did not behave like one object */
  judge(): void {
    this.#judge(this.#registers, REGISTER);
    this.#judge(this.#counters, counterModel);
  }

  #judge<State, Input, Output>(
    operations: readonly Operation<Input, Output>[],
    model: Parameters<typeof check<State, Input, Output>>[0],
  ): void {
    for (const [key, its] of byKey(operations)) {
      const verdict = check(model, its, { stepsMax: STEPS_MAX });
      if (verdict.kind === 'unknown') this.undecided += 1;
      if (verdict.kind !== 'violation') continue;
      const violation = explain(model, its, { stepsMax: STEPS_MAX });
      this.#world.fail(`key ${key} is not linearizable\n${violation === null ? '' : asText(violation)}`);
    }
  }

  #think(client: SimClient): void {
    const pauseMs = this.#world.leaders.length > 0 ? this.#options.thinkMs : 300;
    this.#world.later(this.#random.integer(0, pauseMs), () => {
      if (this.#isOver) return;
      this.#act(client, () => this.#think(client));
    });
  }

  #act(client: SimClient, then: () => void): void {
    const random = this.#random;
    if (random.chance(this.#options.passing)) {
      this.#pass(client, then);
      return;
    }
    const key = `r${random.integer(0, this.#options.keyCount - 1)}`;
    const last = this.#last.get(key) ?? null;
    const value = `${client.id}.${this.#nextValue};`;
    this.#nextValue += 1;
    const dice = random.fraction();
    if (dice < 0.28) {
      this.#get(client, key, then);
    } else if (dice < 0.53 && (last?.length ?? 0) < VALUE_BYTES_MAX) {
      const command = { append: { key: bytesOf(key), value: bytesOf(value) } };
      this.#write(client, key, { op: 'append', value }, command, then, (told) => ({
        length: Number(told.append?.length ?? -1),
      }));
    } else if (dice < 0.68) {
      const command = { put: { key: bytesOf(key), value: bytesOf(value) } };
      this.#write(client, key, { op: 'put', value }, command, then, () => ({}));
    } else if (dice < 0.76) {
      const expected = last === null ? { absent: true } : { value: bytesOf(last) };
      const command = { compareAndSet: { key: bytesOf(key), ...expected, newValue: bytesOf(value) } };
      this.#write(client, key, { op: 'cas', expected: last, value }, command, then, (told) => ({
        swapped: told.compareAndSet?.succeeded === true,
      }));
    } else if (dice < 0.81) {
      this.#write(client, key, { op: 'delete' }, { delete: { key: bytesOf(key) } }, then, (told) => ({
        existed: (told.delete?.deleted ?? 0n) > 0n,
      }));
    } else if (dice < 0.87) {
      this.#both(client, value, then);
    } else if (dice < 0.92) {
      this.#range(client, then);
    } else {
      const counter = `n${random.integer(0, COUNTERS - 1)}`;
      this.#count(client, counter, random.chance(0.7) ? random.integer(1, 9) : null, then);
    }
  }

  #get(client: SimClient, key: string, then: () => void): void {
    const call = this.#call();
    client.ask({
      read: { get: { key: bytesOf(key) } },
      done: (ended) => {
        if (isTold(ended)) {
          const value = valueOf(ended);
          this.#last.set(key, value);
          this.#registers.push({
            ...call,
            client: client.id,
            key,
            input: { op: 'get' },
            output: { value },
            returnNs: this.#nowNs(),
          });
        }
        then();
      },
    });
  }

  #write(
    client: SimClient,
    key: string,
    input: RegisterInput,
    command: CommandInit,
    then: () => void,
    output: (told: Told) => RegisterOutput,
  ): void {
    const call = this.#call();
    client.ask({
      write: command,
      done: (ended) => {
        if (ended === null)
          this.#registers.push({ ...call, client: client.id, key, input, output: null, returnNs: Infinity });
        else if (isTold(ended))
          this.#registers.push({
            ...call,
            client: client.id,
            key,
            input,
            output: output(this.#fine(ended)),
            returnNs: this.#nowNs(),
          });
        then();
      },
    });
  }

  /** Two keys in one transaction, the first by its value. */
  #both(client: SimClient, value: string, then: () => void): void {
    const { keyCount } = this.#options;
    const at = this.#random.integer(0, keyCount - 1);
    const [one, other] = [`r${at}`, `r${(at + 1) % keyCount}`];
    if (one === other) return then();
    const expected = this.#last.get(one) ?? null;
    const compare =
      expected === null
        ? { key: bytesOf(one), exists: false }
        : { key: bytesOf(one), value: bytesOf(expected) };
    const puts = [one, other].map((key) => ({ put: { key: bytesOf(key), value: bytesOf(value) } }));
    const call = this.#call();
    client.ask({
      write: { txn: { compares: [compare], success: puts, failure: [] } },
      done: (ended) => {
        const record = (key: string, input: RegisterInput, output: RegisterOutput | null): void => {
          const returnNs = output === null ? Infinity : this.#nowNs();
          this.#registers.push({
            ...call,
            id: this.#newId(),
            client: client.id,
            key,
            input,
            output,
            returnNs,
          });
        };
        const cas: RegisterInput = { op: 'cas', expected, value };
        if (ended === null) {
          record(one, cas, null);
          record(other, { op: 'put', value }, null);
        } else if (isTold(ended)) {
          const swapped = this.#fine(ended).txn?.succeeded === true;
          record(one, cas, { swapped });
          if (swapped) record(other, { op: 'put', value }, {});
        }
        then();
      },
    });
  }

  #range(client: SimClient, then: () => void): void {
    const call = this.#call();
    client.ask({
      read: { range: { range: { prefix: bytesOf('r') }, limit: 100 } },
      done: (ended) => {
        if (isTold(ended)) {
          const found = new Map(
            (ended.range?.kvs ?? []).map((kv) => [
              textOf(kv.key as Uint8Array),
              textOf(kv.value as Uint8Array),
            ]), // what the executor makes
          );
          for (let at = 0; at < this.#options.keyCount; at += 1) {
            const key = `r${at}`;
            const output = { value: found.get(key) ?? null };
            this.#registers.push({
              ...call,
              id: this.#newId(),
              client: client.id,
              key,
              input: { op: 'get' },
              output,
              returnNs: this.#nowNs(),
            });
          }
        }
        then();
      },
    });
  }

  /** By Redis's commands, which have no session: asked once. */
  #count(client: SimClient, key: string, by: number | null, then: () => void): void {
    const call = this.#call();
    const input: CounterInput = by === null ? { op: 'get' } : { op: 'add', by };
    client.ask({
      items: () => redisItems(by === null ? ['GET', key] : ['INCRBY', key, String(by)]),
      done: (ended) => {
        if (ended === null && by !== null) {
          this.#counters.push({ ...call, client: client.id, key, input, output: null, returnNs: Infinity });
        } else if (ended !== null && ended !== 'never') {
          const value = numberOf(ended as readonly Reply[]); // of items
          if (value === null) return then(); // a disk is full
          this.#counters.push({
            ...call,
            client: client.id,
            key,
            input,
            output: { value },
            returnNs: this.#nowNs(),
          });
        }
        then();
      },
    });
  }

  /** What passes by itself: judged by the members' states being the same. */
  #pass(client: SimClient, then: () => void): void {
    const random = this.#random;
    const key = bytesOf(`t${random.integer(0, 5)}`);
    const ttlMs = BigInt(random.integer(20, 2000));
    const lease = BigInt(random.integer(1, 3));
    const commands: readonly [CommandInit, ...CommandInit[]] = [
      { put: { key, value: bytesOf('passing'), ttlMs } },
      { put: { key, value: bytesOf('leased'), lease } },
      { leaseGrant: { id: lease, ttlMs: ttlMs + 100n } },
      { leaseKeepAlive: { ids: [lease] } },
      { touch: { key, ttlMs } },
      { putSequential: { prefix: bytesOf('s'), value: bytesOf('next'), ttlMs } },
    ];
    client.ask({ write: random.pick(commands), done: then });
  }

  #fine(told: Told): Told {
    if (told.error !== undefined) this.#world.fail(`a command was refused: ${JSON.stringify(told.error)}`);
    return told;
  }

  #call(): { readonly id: number; readonly callNs: number } {
    return { id: this.#newId(), callNs: this.#nowNs() };
  }

  #newId(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  #nowNs(): number {
    this.#lastNs = Math.max(this.#lastNs + 1, Math.floor(this.#world.now() * 1e6));
    return this.#lastNs;
  }
}

const COUNTERS = 2;

function isTold(ended: Ended): ended is Told {
  return ended !== null && ended !== 'never' && !Array.isArray(ended);
}

/** Null: refused, because a disk is full. */
function numberOf([reply]: readonly Reply[]): number | null {
  if (reply instanceof ErrorReply && reply.text.startsWith('OOM ')) return null;
  if (typeof reply === 'number') return reply;
  if (reply === null) return 0;
  if (typeof reply === 'string' && /^\d+$/.test(reply)) return Number(reply);
  throw new Error(`a counter answered ${JSON.stringify(reply)}`);
}
