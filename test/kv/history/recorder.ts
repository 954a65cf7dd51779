// Writes down what clients of one process do while they do it, by one monotonic clock, and keeps it in a file of JSON
// lines, so that a history can be judged again. Ids are given in the order of the calls.
// Lines: {"id","client","model","key","input","call"} and then {"id","output","return"}, {"id","unknown":true}
// or {"id","never":true}; times in nanoseconds since the recorder began.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { type Operation, unanswered } from './operation.js';

/** An operation with the name of the model that its key follows. */
export type Recorded = Operation & { readonly model: string };

const LINES_KEPT_BACK = 256;

type Call = Omit<Recorded, 'output' | 'returnNs'>;

export class HistoryRecorder {
  readonly #path: string | null;
  readonly #startNs: bigint = process.hrtime.bigint();
  readonly #open = new Map<number, Call>();
  readonly #operations: Recorded[] = [];
  readonly #never: Recorded[] = [];
  #lines: string[] = [];
  #nextId = 1;

  /** With a path every line is kept there; an existing file is emptied. */
  constructor(path: string | null = null) {
    this.#path = path;
    if (path !== null) writeFileSync(path, '');
  }

  /** Call just before the request leaves; gives the id to answer with. */
  call(client: number, model: string, key: string, input: unknown): number {
    const call: Call = { id: this.#nextId, client, model, key, input, callNs: this.nowNs() };
    this.#nextId += 1;
    this.#open.set(call.id, call);
    this.#keep({ id: call.id, client, model, key, input, call: call.callNs });
    return call.id;
  }

  /** Call as soon as the answer is there. */
  returned(id: number, output: unknown): void {
    const returnNs = this.nowNs();
    this.#operations.push({ ...this.#take(id), output, returnNs });
    this.#keep({ id, output, return: returnNs });
  }

  /** It may have happened, may happen yet or never: a timeout, a lost connection. */
  unknown(id: number): void {
    this.#operations.push(unanswered(this.#take(id)));
    this.#keep({ id, unknown: true });
  }

  /** It surely did not happen and never will. */
  never(id: number): void {
    this.#never.push(unanswered(this.#take(id)));
    this.#keep({ id, never: true });
  }

  nowNs(): number {
    return Number(process.hrtime.bigint() - this.#startNs);
  }

  get underWay(): number {
    return this.#open.size;
  }

  /** What happened and may have; operations still under way count as unknown. */
  history(): Recorded[] {
    const open = [...this.#open.values()].map(unanswered);
    return [...this.#operations, ...open].toSorted((a, b) => a.id - b.id);
  }

  /** What surely did not happen. */
  failed(): readonly Recorded[] {
    return this.#never;
  }

  /** Writes the lines kept back to the file. */
  flush(): void {
    if (this.#path !== null && this.#lines.length > 0) appendFileSync(this.#path, this.#lines.join(''));
    this.#lines = [];
  }

  #take(id: number): Call {
    const call = this.#open.get(id);
    if (call === undefined) throw new Error(`operation ${id} is not under way`);
    this.#open.delete(id);
    return call;
  }

  #keep(line: object): void {
    if (this.#path === null) return;
    this.#lines.push(`${JSON.stringify(line)}\n`);
    if (this.#lines.length >= LINES_KEPT_BACK) this.flush();
  }
}

export interface KeptHistory {
  readonly history: Recorded[];
  readonly failed: Recorded[];
}

/** Reads a file that a recorder kept. A last line cut short is an answer nobody saw. @throws Error a broken line, named. */
export function readHistory(path: string): KeptHistory {
  const calls = new Map<number, Call>();
  const history: Recorded[] = [];
  const failed: Recorded[] = [];
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop(); // nothing, or what a killed recorder left of its last line
  for (const [at, text] of lines.entries()) {
    const line = parseLine(text, `${path}:${at + 1}`);
    if (line.call !== undefined) {
      const { id, client = 0, model = '', key = '', input } = line;
      calls.set(id, { id, client, model, key, input, callNs: line.call });
      continue;
    }
    const call = calls.get(line.id);
    if (call === undefined) throw new Error(`${path}:${at + 1}: operation ${line.id} was not called`);
    calls.delete(line.id);
    if (line.never === true) failed.push(unanswered(call));
    else history.push({ ...call, output: line.output ?? null, returnNs: line.return ?? Infinity });
  }
  for (const call of calls.values()) history.push(unanswered(call));
  return { history: history.toSorted((a, b) => a.id - b.id), failed };
}

interface Line {
  readonly id: number;
  readonly client?: number;
  readonly model?: string;
  readonly key?: string;
  readonly input?: unknown;
  readonly call?: number;
  readonly output?: unknown;
  readonly return?: number;
  readonly never?: boolean;
}

function parseLine(text: string, where: string): Line {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${where}: not a line of JSON`, { cause });
  }
  if (typeof line !== 'object' || line === null || typeof (line as Line).id !== 'number')
    throw new Error(`${where}: an operation has an id`);
  return line as Line;
}
