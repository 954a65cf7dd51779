// A chaos client of the Redis protocol: one operation after the other, each through a member drawn for it, all written
// down by the recorder. What a failure leaves open counts as unknown, what surely did not happen as never.

import { setTimeout as pause } from 'node:timers/promises';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { CounterInput } from '../history/counter-model.js';
import type { ListStep } from '../history/list-append.js';
import type { HistoryRecorder } from '../history/recorder.js';
import type { RegisterInput, RegisterOutput } from '../history/register-model.js';
import type { ClientSettings, Endpoint, OutcomeCounts } from './client-settings.js';
import type { KeyRing, RingKey } from './key-ring.js';
import { ConnectionLost, RespConnection, RespError, type RespValue } from './resp-connection.js';

/** One operation with its commands: `answer` reads the replies, all of them free of errors. */
interface Request {
  readonly model: string;
  readonly key: string;
  readonly ringKey: RingKey;
  readonly input: RegisterInput | CounterInput | readonly ListStep[];
  readonly isRead: boolean;
  readonly commands: readonly (readonly string[])[];
  /** Null: it was not carried out. */
  readonly answer: (replies: readonly RespValue[]) => unknown;
}

/** The server's word that nothing was executed. */
const NEVER = ['CLUSTERDOWN', 'EXECABORT', 'TRYAGAIN Too many'];

export class RespClient {
  readonly #id: number;
  readonly #random: SeededRandom;
  readonly #keys: KeyRing;
  readonly #recorder: HistoryRecorder;
  readonly #endpoints: () => readonly Endpoint[];
  readonly #settings: ClientSettings;
  readonly counts: OutcomeCounts = { answered: 0, unknown: 0, never: 0 };
  readonly #connections = new Map<string, RespConnection>();
  #nextValue = 1;

  constructor(
    id: number,
    random: SeededRandom,
    keys: KeyRing,
    recorder: HistoryRecorder,
    endpoints: () => readonly Endpoint[],
    settings: ClientSettings,
  ) {
    this.#id = id;
    this.#random = random;
    this.#keys = keys;
    this.#recorder = recorder;
    this.#endpoints = endpoints;
    this.#settings = settings;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const connection = await this.#connection();
      if (connection !== null) await this.#work(connection);
      await pause(this.#random.integer(0, this.#settings.thinkMsMax));
    }
    this.close();
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Reads a key once, until it is answered. @throws Error when the time is up */
  async readFinally(key: RingKey, endMs: number): Promise<void> {
    const { model, name } = { model: modelOf(key), name: key.name };
    while (performance.now() < endMs) {
      const connection = await this.#connection();
      if (connection !== null) {
        const request = key.kind === 'list' ? this.#listRead(key) : this.#plainRead(key);
        if ((await this.#carryOut(connection, [request]))[0]) return;
      }
      await pause(20);
    }
    throw new Error(`${name} (${model}) could not be read in time`);
  }

  /** An open connection to a member drawn among those that can be reached. */
  async #connection(): Promise<RespConnection | null> {
    const endpoints = this.#endpoints();
    if (endpoints.length === 0) return null;
    const { id, port } = endpoints[this.#random.integer(0, endpoints.length - 1)]!;
    const name = `${id} ${port}`;
    const known = this.#connections.get(name);
    if (known?.isOpen === true) return known;
    this.#connections.delete(name);
    try {
      const connection = await RespConnection.open(port, this.#settings.timeoutMs);
      this.#connections.set(name, connection);
      return connection;
    } catch {
      return null; // nothing was asked yet, so nothing is to be written down
    }
  }

  async #work(connection: RespConnection): Promise<void> {
    const draw = this.#random.integer(1, 100);
    const registerKey = (): RingKey => this.#keys.pick('register', this.#random);
    if (draw <= 25) await this.#carryOut(connection, [this.#plainRead(registerKey())]);
    else if (draw <= 45) await this.#carryOut(connection, [this.#put(registerKey())]);
    else if (draw <= 55) await this.#carryOut(connection, [this.#append(registerKey())]);
    else if (draw <= 59) await this.#carryOut(connection, [this.#delete(registerKey())]);
    else if (draw <= 67) await this.#compareAndSet(connection, registerKey());
    else if (draw <= 72) {
      const some = Array.from({ length: this.#random.integer(2, 4) }, () =>
        this.#random.chance(0.5) ? this.#put(registerKey()) : this.#plainRead(registerKey()),
      );
      await this.#carryOut(connection, some);
    } else if (draw <= 82)
      await this.#carryOut(connection, [this.#add(this.#keys.pick('counter', this.#random))]);
    else if (draw <= 87)
      await this.#carryOut(connection, [this.#plainRead(this.#keys.pick('counter', this.#random))]);
    else await this.#carryOut(connection, [this.#transaction()]);
  }

  /** Sends all in one write. For each, whether it was answered. */
  async #carryOut(connection: RespConnection, requests: readonly Request[]): Promise<boolean[]> {
    const ids = requests.map(({ model, key, input }) => this.#recorder.call(this.#id, model, key, input));
    let replies: readonly RespValue[];
    try {
      replies = await connection.send(
        requests.flatMap(({ commands }) => commands),
        this.#settings.timeoutMs,
      );
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      for (const [at, request] of requests.entries()) this.#open(ids[at]!, request, !error.mayHaveRun);
      return requests.map(() => false);
    }
    let at = 0;
    return requests.map((request, index) => {
      const own = replies.slice(at, at + request.commands.length);
      at += request.commands.length;
      const failure = own.find((reply) => reply instanceof RespError);
      if (failure instanceof RespError) {
        this.#open(
          ids[index]!,
          request,
          NEVER.some((start) => failure.text.startsWith(start)),
        );
        return false;
      }
      const output = request.answer(own);
      if (output === null) {
        this.#recorder.never(ids[index]!);
        this.counts.never += 1;
      } else {
        this.#recorder.returned(ids[index]!, output);
        this.counts.answered += 1;
      }
      return true;
    });
  }

  #open(id: number, request: Request, surelyNever: boolean): void {
    if (surelyNever || request.isRead) {
      this.#recorder.never(id);
      this.counts.never += 1;
      return;
    }
    this.#recorder.unknown(id);
    this.counts.unknown += 1;
    request.ringKey.lost += 1;
  }

  /** Optimistic, as clients of Redis do it. A refusal says that the key was touched, which the value may not show. */
  async #compareAndSet(connection: RespConnection, key: RingKey): Promise<void> {
    const read = this.#plainRead(key);
    let expected: string | null | undefined;
    const watched: Request = {
      ...read,
      commands: [['WATCH', key.name], ...read.commands],
      answer: ([, value]) => {
        expected = value as string | null;
        return { value: expected } satisfies RegisterOutput;
      },
    };
    await this.#carryOut(connection, [watched]);
    if (expected === undefined) {
      // The key may be watched all the same, and would spoil the next transaction.
      connection.close();
      return;
    }
    const value = this.#value();
    await this.#carryOut(connection, [
      {
        model: modelOf(key),
        key: key.name,
        ringKey: key,
        input: { op: 'cas', expected, value },
        isRead: false,
        commands: [['MULTI'], ['SET', key.name, value], ['EXEC']],
        answer: (replies) => (replies.at(-1) === null ? null : ({ swapped: true } satisfies RegisterOutput)),
      },
    ]);
  }

  #plainRead(key: RingKey): Request {
    return {
      ...this.#on(key, { op: 'get' }, [['GET', key.name]]),
      isRead: true,
      answer: ([value]) => ({ value: key.kind === 'counter' ? Number(value ?? 0) : value }),
    };
  }

  #put(key: RingKey): Request {
    const value = this.#value();
    return { ...this.#on(key, { op: 'put', value }, [['SET', key.name, value]]), answer: () => ({}) };
  }

  #append(key: RingKey): Request {
    const value = this.#value();
    return {
      ...this.#on(key, { op: 'append', value }, [['APPEND', key.name, value]]),
      answer: ([length]) => ({ length }),
    };
  }

  #delete(key: RingKey): Request {
    return {
      ...this.#on(key, { op: 'delete' }, [['DEL', key.name]]),
      answer: ([count]) => ({ existed: count === 1 }),
    };
  }

  #add(key: RingKey): Request {
    const by = this.#random.integer(1, 3);
    return {
      ...this.#on(key, { op: 'add', by }, [['INCRBY', key.name, String(by)]]),
      answer: ([value]) => ({ value }),
    };
  }

  #listRead(key: RingKey): Request {
    return this.#transactionOf(key, [{ op: 'read', key: key.name }]);
  }

  #transaction(): Request {
    const keys = [this.#keys.pick('list', this.#random), this.#keys.pick('list', this.#random)] as const;
    const steps = Array.from({ length: this.#random.integer(1, 3) }, (): ListStep => {
      const key = this.#random.pick(keys).name;
      return this.#random.chance(0.5)
        ? { op: 'read', key }
        : { op: 'append', key, value: this.#id * 10_000_000 + this.#next() };
    });
    return this.#transactionOf(keys[0], steps);
  }

  #transactionOf(ringKey: RingKey, steps: readonly ListStep[]): Request {
    const commands = steps.map((step) =>
      step.op === 'read' ? ['LRANGE', step.key, '0', '-1'] : ['RPUSH', step.key, String(step.value)],
    );
    return {
      model: 'lists',
      key: '',
      ringKey,
      input: steps,
      isRead: steps.every((step) => step.op === 'read'),
      commands: [['MULTI'], ...commands, ['EXEC']],
      answer: (replies) => {
        const results = replies.at(-1) as RespValue[];
        return steps.map((step, at) => (step.op === 'read' ? (results[at] as string[]).map(Number) : null));
      },
    };
  }

  #on(
    key: RingKey,
    input: RegisterInput | CounterInput,
    commands: readonly (readonly string[])[],
  ): Omit<Request, 'answer'> {
    return { model: modelOf(key), key: key.name, ringKey: key, input, isRead: false, commands };
  }

  #value(): string {
    return `${this.#id}.${this.#next()} `;
  }

  #next(): number {
    this.#nextValue += 1;
    return this.#nextValue;
  }
}

/** As history/check-history.ts names them. */
export function modelOf({ kind }: RingKey): string {
  return kind === 'register' ? 'register-versions' : kind === 'counter' ? 'counter' : 'lists';
}
