// Instances from a YAML or JSON file that is read again whenever it changes. Content that makes no sense is reported
// and changes nothing. File access and time come from outside; system-file.ts is the real access.

import { parse } from 'yaml';
import { RpcError } from '../errors.js';
import type { Instance, Resolver, ResolverListener } from '../instance.js';
import type { PoolTime } from '../pool/pool-time.js';
import { invalid, parseInstanceList, sameInstances } from './instance-list.js';

export interface FileAccess {
  read(path: string): Promise<string>;
  /** Calls `onChange` whenever the file may have changed; returns what stops that. May not be able to: then null. */
  watch(path: string, onChange: () => void): (() => void) | null;
}

export interface FileResolverOptions {
  /** Quiet time after a change before the file is read, in ms. Default 100. */
  settleMs?: number;
  /** The file is also looked at this often, for file systems that tell of no changes, in ms. Default 30,000. */
  pollEveryMs?: number;
}

const DEFAULTS: Required<FileResolverOptions> = { settleMs: 100, pollEveryMs: 30_000 };

export class FileResolver implements Resolver {
  readonly #path: string;
  readonly #access: FileAccess;
  readonly #time: PoolTime;
  readonly #options: Required<FileResolverOptions>;
  #listener: ResolverListener | null = null;
  #stopWatching: (() => void) | null = null;
  #timer: unknown = null;
  /** The text that was looked at last, good or bad; null: it could not be read. */
  #text: string | null = null;
  #told: readonly Instance[] | null = null;
  #lastProblem: string = '';
  #reading: Promise<void> | null = null;
  #isReadAgain: boolean = false;

  /** @throws RpcError RPC_OPTION_INVALID */
  constructor(path: string, access: FileAccess, time: PoolTime, options: FileResolverOptions = {}) {
    this.#path = path;
    this.#access = access;
    this.#time = time;
    this.#options = { ...DEFAULTS, ...options };
    if (!(this.#options.settleMs >= 0)) throw invalid('settleMs must be a number of ms, 0 or more');
    if (!(this.#options.pollEveryMs > 0)) throw invalid('pollEveryMs must be a number of ms above 0');
  }

  start(listener: ResolverListener): void {
    this.#listener = listener;
    this.#watch();
    this.refresh();
  }

  refresh(): void {
    if (this.#listener === null) return;
    if (this.#reading !== null) {
      this.#isReadAgain = true;
      return;
    }
    this.#reading = this.#read();
  }

  async close(): Promise<void> {
    this.#listener = null;
    this.#stopWatching?.();
    this.#stopWatching = null;
    if (this.#timer !== null) this.#time.cancel(this.#timer);
    await this.#reading;
  }

  #watch(): void {
    this.#stopWatching ??= this.#access.watch(this.#path, () => this.#readIn(this.#options.settleMs));
  }

  #readIn(delayMs: number): void {
    if (this.#listener === null) return;
    if (this.#timer !== null) this.#time.cancel(this.#timer);
    const read = (): void => {
      this.#timer = null;
      this.#watch(); // its folder may not have been there before
      this.refresh();
    };
    this.#timer = this.#time.runAfter(delayMs, read, true);
  }

  async #read(): Promise<void> {
    let text: string | null = null;
    let problem: unknown = null;
    try {
      text = await this.#access.read(this.#path);
    } catch (error) {
      problem = error;
    }
    this.#reading = null;
    if (this.#listener === null) return;
    if (text === null) this.#report(problem);
    else if (text !== this.#text) this.#take(text);
    if (this.#isReadAgain) {
      this.#isReadAgain = false;
      this.refresh();
    } else if (this.#timer === null) {
      this.#readIn(this.#options.pollEveryMs);
    }
  }

  #take(text: string): void {
    this.#text = text;
    let instances: Instance[];
    try {
      instances = parseInstanceList(parse(text) as unknown);
    } catch (error) {
      this.#report(error);
      return;
    }
    this.#lastProblem = '';
    if (this.#told !== null && sameInstances(this.#told, instances)) return;
    this.#told = instances;
    this.#listener!.onInstances(instances);
  }

  /** Once for each problem, however often the file is read. */
  #report(cause: unknown): void {
    const problem = cause instanceof Error ? cause.message : String(cause);
    if (problem === this.#lastProblem) return;
    this.#lastProblem = problem;
    const rest = this.#told === null ? '' : `; the last ${this.#told.length} instances stay in use`;
    const message = `${this.#path} gives no instances: ${problem.split('\n')[0]}${rest}`;
    this.#listener!.onError(new RpcError('RPC_RESOLVE_FAILED', message, { executed: 'no', cause }));
  }
}
