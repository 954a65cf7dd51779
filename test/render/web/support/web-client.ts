// Requests exactly as written, headers that browsers would not let a script set included.

import { request as httpRequest } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
  readonly text: string;
  /** @throws when it is no JSON */
  json(): unknown;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export class WebClient {
  readonly #port: number;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param headers of every request */
  constructor(port: number, headers: Readonly<Record<string, string>> = {}) {
    this.#port = port;
    this.#headers = headers;
  }

  async ask(path: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Reply> {
    return await new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port: this.#port, path, method, headers: { ...this.#headers, ...headers } },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('error', reject);
          response.on('end', () => {
            const bytes = Buffer.concat(pieces);
            const text = bytes.toString('utf8');
            const { statusCode = 0, headers: got } = response;
            resolve({ status: statusCode, headers: got, bytes, text, json: () => JSON.parse(text) });
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  /** A change as the page would ask for it. */
  async post(path: string, value?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return await this.ask(path, {
      method: 'POST',
      headers: {
        'x-reactor-net': '1',
        ...(value === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(value === undefined ? {} : { body: JSON.stringify(value) }),
    });
  }
}
