// Reads the JSON lines a child process prints and lets one caller wait for the next of a kind.
// subject.ts and tlv-load.ts start children with it; lines that are not JSON objects are ignored.

import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';

export type JsonEvent = Record<string, unknown> & { event: string };

export class JsonLines {
  #waiting: { event: string; resolve: (line: JsonEvent) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | null = null;

  constructor(stream: Readable) {
    const lines = createInterface({ input: stream });
    lines.on('line', (line) => this.#deliver(line));
    lines.on('close', () => this.fail(new Error('it ended its output')));
  }

  /** The first line from now on whose `event` is `event`; rejects at the deadline or after `fail`. */
  next(event: string, timeoutMs: number): Promise<JsonEvent> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((entry) => entry !== waiting);
        reject(new Error(`no "${event}" line within ${timeoutMs} ms`));
      }, timeoutMs);
      const waiting = {
        event,
        resolve: (line: JsonEvent) => {
          clearTimeout(timer);
          resolve(line);
        },
        reject: (error: Error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiting.push(waiting);
    });
  }

  /** Everybody who waits, now or later, gets `error`. */
  fail(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#ended);
  }

  #deliver(text: string): void {
    const line = parseEvent(text);
    if (line === null) return;
    const arrived = this.#waiting.filter((waiting) => waiting.event === line.event);
    this.#waiting = this.#waiting.filter((waiting) => waiting.event !== line.event);
    for (const waiting of arrived) waiting.resolve(line);
  }
}

function parseEvent(text: string): JsonEvent | null {
  if (!text.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'event' in value ? (value as JsonEvent) : null;
  } catch {
    return null; // a line for people
  }
}
