// Reads server-sent events, as fast or as slowly as a test wants.

import { get, type IncomingMessage } from 'node:http';
import { until } from '../../../support/until.js';

export interface ServerEvent {
  readonly name: string;
  readonly data: unknown;
}

export class EventReader {
  readonly events: ServerEvent[] = [];
  readonly #response: IncomingMessage;
  #text = '';
  #isOver = false;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding('utf8');
    response.on('data', (piece: string) => this.#take(piece));
    response.on('close', () => (this.#isOver = true));
    response.on('error', () => (this.#isOver = true)); // cut off by the server, which a test looks for
  }

  static async open(port: number): Promise<EventReader> {
    return await new Promise((resolve, reject) => {
      const request = get({ host: '127.0.0.1', port, path: '/api/v1/events', agent: false }, (response) =>
        resolve(new EventReader(response)),
      );
      request.on('error', reject);
    });
  }

  get status(): number | undefined {
    return this.#response.statusCode;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Reads nothing more until `resume`. */
  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  close(): void {
    this.#response.destroy();
  }

  /** The first event of that name that fits, once it is there. */
  async next(name: string, fits: (data: unknown) => boolean = () => true): Promise<unknown> {
    let found: ServerEvent | undefined;
    await until(() => {
      found = this.events.find((event) => event.name === name && fits(event.data));
      return found !== undefined;
    });
    return found!.data; // found: until waited for it
  }

  #take(piece: string): void {
    this.#text += piece;
    const blocks = this.#text.split('\n\n');
    this.#text = blocks.pop()!; // what split gives is never empty
    for (const block of blocks) {
      const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(block) ?? [];
      if (name !== undefined && data !== undefined) this.events.push({ name, data: JSON.parse(data) });
    }
  }
}
