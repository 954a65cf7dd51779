// A chaos client of the native service: its writes carry a session and a sequence, so it sends one again, to any member,
// until it is answered, and must find it executed once. Reads are linearizable, or stale and then never older than what
// the same life of the same member had shown before.

import { setTimeout as pause } from 'node:timers/promises';
import {
  type Command,
  type ExecuteResponse,
  KvClient,
  type Outcome,
  ReadLevel,
} from '../../../kv/proto/kv.js';
import { failureOf } from '../../../kv/service/failures.js';
import { type MessageInit, RpcClient } from '../../../rpc/index.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { HistoryRecorder } from '../history/recorder.js';
import type { RegisterInput, RegisterOutput } from '../history/register-model.js';
import type { ClientSettings, Endpoint, OutcomeCounts } from './client-settings.js';
import type { KeyRing, RingKey } from './key-ring.js';

/** Until this long after its call an operation is sent again. */
const PATIENCE_MS = 20_000;
const RETRY_PAUSE_MS = 50;
const SESSION_TTL_MS = 60_000n;

export class NativeClient {
  readonly #id: number;
  readonly #random: SeededRandom;
  readonly #keys: KeyRing;
  readonly #recorder: HistoryRecorder;
  readonly #endpoints: () => readonly Endpoint[];
  readonly #settings: ClientSettings;
  readonly counts: OutcomeCounts = { answered: 0, unknown: 0, never: 0 };
  /** What cannot be: a stale read that went back. */
  readonly failures: string[] = [];
  staleReads = 0;
  resent = 0;
  readonly #clients = new Map<string, { readonly rpc: RpcClient; readonly kv: KvClient }>();
  /** By life of a member: the newest revision that a read of it has shown. */
  readonly #shown = new Map<string, bigint>();
  #session: { readonly id: bigint; sequence: bigint } | null = null;
  #nextValue = 1;
  #member: number | null = null;

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
    try {
      while (!signal.aborted) {
        if (this.#session === null) await this.#openSession();
        else await this.#work(this.#session, signal);
        await pause(this.#random.integer(0, this.#settings.thinkMsMax));
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(({ rpc }) => rpc.close(0)));
    this.#clients.clear();
  }

  async #work(session: { readonly id: bigint; sequence: bigint }, signal: AbortSignal): Promise<void> {
    const draw = this.#random.integer(1, 100);
    const key = this.#keys.pick('register', this.#random);
    const { name } = key;
    const bytes = Buffer.from(name, 'latin1');
    const value = `n${this.#id}.${(this.#nextValue += 1)} `;
    const valueBytes = Buffer.from(value, 'latin1');
    if (draw <= 10) return this.#readStale(bytes);
    if (draw <= 40) {
      await this.#perform(key, { op: 'get' }, { get: { key: bytes } }, readOf, null, signal);
      return;
    }
    if (draw <= 60) {
      const command = { put: { key: bytes, value: valueBytes } };
      await this.#perform(key, { op: 'put', value }, command, writtenAt, session, signal);
    } else if (draw <= 75) {
      const command = { append: { key: bytes, value: valueBytes } };
      await this.#perform(key, { op: 'append', value }, command, appended, session, signal);
    } else if (draw <= 80) {
      await this.#perform(key, { op: 'delete' }, { delete: { key: bytes } }, deleted, session, signal);
    } else {
      const read = await this.#perform(key, { op: 'get' }, { get: { key: bytes } }, readOf, null, signal);
      if (read?.version === undefined) return;
      const { version } = read;
      const expected = version === 0 ? { absent: true } : { modRevision: BigInt(version) };
      const command = { compareAndSet: { key: bytes, newValue: valueBytes, ...expected } };
      const input = { op: 'cas-version', version, value } as const;
      await this.#perform(key, input, command, compared, session, signal);
    }
  }

  /** Sends until it is answered or patience ends. With a session it is a write; its sequence is then used up. */
  async #perform(
    key: RingKey,
    input: RegisterInput,
    command: MessageInit<Command>,
    answerOf: (outcome: Outcome) => RegisterOutput,
    session: { readonly id: bigint; sequence: bigint } | null,
    signal: AbortSignal,
  ): Promise<RegisterOutput | null> {
    const numbers =
      session === null
        ? {}
        : { clientId: session.id, sequence: session.sequence, acknowledged: session.sequence };
    const id = this.#recorder.call(this.#id, 'register-versions', key.name, input);
    const endMs = performance.now() + PATIENCE_MS;
    let mayHaveRun = false;
    // A read may be given up at any time; a write is asked for until its fate is known.
    const isOver = (): boolean => performance.now() >= endMs || (signal.aborted && session === null);
    while (!isOver()) {
      const answer = await this.#ask({ ...numbers, command });
      if (answer.kind === 'answered') {
        const outcome = answer.response.outcome!;
        if (outcome.error !== undefined)
          throw new Error(
            `${JSON.stringify(input)} was answered ${outcome.error.code}: ${outcome.error.message}`,
          );
        if (session !== null) session.sequence += 1n;
        const output = answerOf(outcome);
        this.#recorder.returned(id, output);
        this.counts.answered += 1;
        return output;
      }
      if (answer.kind === 'expired') {
        this.#session = null;
        break;
      }
      mayHaveRun ||= answer.mayHaveRun;
      this.resent += 1;
      await pause(RETRY_PAUSE_MS);
    }
    if (session === null || !mayHaveRun) {
      this.#recorder.never(id);
      this.counts.never += 1;
    } else {
      this.#recorder.unknown(id);
      this.counts.unknown += 1;
      key.lost += 1;
    }
    // A sequence that was given up may be executed yet; a new session leaves it behind.
    if (session !== null) this.#session = null;
    return null;
  }

  async #readStale(key: Buffer): Promise<void> {
    const endpoint = this.#endpoint();
    if (endpoint === null) return;
    const life = `${endpoint.id} ${endpoint.port}`;
    const answer = await this.#askAt(endpoint, { command: { get: { key } }, readLevel: ReadLevel.STALE });
    // Whoever took over the address meanwhile is another life, with a state of its own.
    const isSameLife = this.#endpoints().some(({ id, port }) => `${id} ${port}` === life);
    if (answer.kind !== 'answered' || !isSameLife) return;
    this.staleReads += 1;
    const { revision, isStale } = answer.response;
    const shown = this.#shown.get(life) ?? 0n;
    if (!isStale) this.failures.push(`a stale read of member ${endpoint.id} was not marked as one`);
    if (revision < shown)
      this.failures.push(`member ${endpoint.id} showed revision ${revision} after ${shown}`);
    this.#shown.set(life, revision);
  }

  async #openSession(): Promise<void> {
    const endpoint = this.#endpoint();
    if (endpoint === null) return;
    try {
      const { clientId } = await this.#client(endpoint).openSession(
        { ttlMs: SESSION_TTL_MS },
        { timeoutMs: this.#settings.timeoutMs },
      );
      this.#session = { id: clientId, sequence: 1n };
    } catch {
      this.#member = null; // tried elsewhere
      await pause(RETRY_PAUSE_MS);
    }
  }

  async #ask(request: Request): Promise<Answer> {
    const endpoint = this.#endpoint();
    return endpoint === null ? { kind: 'failed', mayHaveRun: false } : this.#askAt(endpoint, request);
  }

  async #askAt(endpoint: Endpoint, request: Request): Promise<Answer> {
    try {
      const client = this.#client(endpoint);
      const { timeoutMs } = this.#settings;
      return { kind: 'answered', response: await client.execute(request, { timeoutMs }) };
    } catch (error) {
      this.#member = null;
      if (failureOf(error)?.code === 'KV_SESSION_EXPIRED') return { kind: 'expired' };
      // Whatever is not said to be otherwise may have been executed.
      const executed = (error as { executed?: unknown }).executed;
      return { kind: 'failed', mayHaveRun: executed !== 'no' };
    }
  }

  /** Stays with a member until it fails, and sometimes goes elsewhere for no reason. */
  #endpoint(): Endpoint | null {
    const endpoints = this.#endpoints();
    if (endpoints.length === 0) return null;
    const known = endpoints.find(({ id }) => id === this.#member);
    if (known !== undefined && this.#random.chance(0.9)) return known;
    const endpoint = endpoints[this.#random.integer(0, endpoints.length - 1)]!;
    this.#member = endpoint.id;
    return endpoint;
  }

  #client(endpoint: Endpoint): KvClient {
    let client = this.#clients.get(endpoint.rpc);
    if (client === undefined) {
      const rpc = new RpcClient({
        target: endpoint.rpc,
        retry: { attemptsMax: 1 },
        pool: { connectionsMin: 0, connectionsMax: 1, connectTimeoutMs: this.#settings.timeoutMs },
      });
      client = { rpc, kv: new KvClient(rpc) };
      this.#clients.set(endpoint.rpc, client);
    }
    return client.kv;
  }
}

interface Request {
  readonly clientId?: bigint;
  readonly sequence?: bigint;
  readonly acknowledged?: bigint;
  readonly command: MessageInit<Command>;
  readonly readLevel?: ReadLevel;
}

type Answer =
  | { readonly kind: 'answered'; readonly response: ExecuteResponse }
  | { readonly kind: 'failed'; readonly mayHaveRun: boolean }
  | { readonly kind: 'expired' };

function readOf({ get }: Outcome): RegisterOutput {
  const kv = get?.kv;
  if (kv === undefined) return { value: null, version: 0 };
  return { value: text(kv.value), version: Number(kv.modRevision) };
}

function writtenAt({ revision }: Outcome): RegisterOutput {
  return { version: Number(revision) };
}

function appended({ revision, append }: Outcome): RegisterOutput {
  return { version: Number(revision), length: Number(append!.length) };
}

function deleted(outcome: Outcome): RegisterOutput {
  return { existed: outcome.delete!.deleted === 1n };
}

function compared({ compareAndSet }: Outcome): RegisterOutput {
  const { succeeded, current } = compareAndSet!;
  return { swapped: succeeded, version: Number(current?.modRevision ?? 0) };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
