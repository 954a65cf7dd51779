// Judges each request before it reaches a route: the name it calls us by, who makes it, and whether somebody else's page
// made the browser send it. web-server.ts asks; it knows headers and tokens, no socket.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { type Answer, refusal } from './answer.js';
import { FailedLogins } from './failed-logins.js';

/** A header that forms and links cannot send, nor scripts of other origins without being asked about it. */
export const SCRIPT_HEADER = 'x-reactor-net';

const BEARER = /^bearer +(\S+)$/i;
const COOKIE_AGE_S = 30 * 24 * 3600;

export interface AccessOptions {
  /** None: everybody may do everything. */
  readonly tokens: () => readonly string[];
  /** Names that are ours beside addresses and localhost, in lower case. */
  readonly hosts: readonly string[];
  readonly isTls: boolean;
}

export interface Asker {
  readonly headers: IncomingHttpHeaders;
  readonly address: string;
  readonly nowMs: number;
}

export class Access {
  readonly #options: AccessOptions;
  readonly #failed = new FailedLogins();
  #cookie = 'reactor_net_render';

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Cookies of one host are shared by all its ports: each main node there has a name of its own. */
  useCookieOf(port: number): void {
    this.#cookie = `reactor_net_render_${port}`;
  }

  get hasTokens(): boolean {
    return this.#options.tokens().length > 0;
  }

  /** Null: it may go on; for every request, those without a token too. */
  refuseForeign(method: string, { headers }: Asker): Answer | null {
    // Without tokens it is where we listen that keeps strangers out. A page of theirs must not get in by a name of its own
    // that it has pointed at us.
    if (!this.hasTokens && !this.#isOurName(headers.host ?? ''))
      return forbidden(
        `${(headers.host ?? '').slice(0, 100)} is not a name of this server: use its address, or set tokens`,
      );
    if (method === 'GET' || method === 'HEAD') return null;
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none')
      return forbidden('another site made the browser send this');
    if (headers.origin !== undefined && !isSameHost(headers.origin, headers.host))
      return forbidden('another origin made the browser send this');
    // A bearer token is nothing that a browser adds by itself.
    if (headers[SCRIPT_HEADER] === undefined && !BEARER.test(headers.authorization ?? ''))
      return forbidden(`changes need the header ${SCRIPT_HEADER}, with any value, or a bearer token`);
    return null;
  }

  /** Null: it shows a token, or none is asked for. */
  refuseStranger(asker: Asker): Answer | null {
    if (!this.hasTokens) return null;
    const token = this.#shown(asker.headers);
    if (token === null) return this.#stranger('show a token: authorization: Bearer TOKEN, or log in');
    return this.#refuseToken(token, asker);
  }

  /** Null: it is a token. */
  refuseLogin(token: string, asker: Asker): Answer | null {
    return this.hasTokens ? this.#refuseToken(token, asker) : null;
  }

  /** The value of Set-Cookie that keeps a token, or with null drops it. */
  cookieFor(token: string | null): string {
    const parts = [
      `${this.#cookie}=${token === null ? '' : encodeURIComponent(token)}`,
      'Path=/',
      `Max-Age=${token === null ? 0 : COOKIE_AGE_S}`,
      'HttpOnly',
      'SameSite=Strict',
    ];
    if (this.#options.isTls) parts.push('Secure');
    return parts.join('; ');
  }

  #refuseToken(token: string, { address, nowMs }: Asker): Answer | null {
    const waitMs = this.#failed.waitMs(address, nowMs);
    if (waitMs > 0)
      return refusal(429, 'RENDER_UNAUTHORIZED', 'too many wrong tokens from there: again later', {
        'retry-after': String(Math.ceil(waitMs / 1000)),
      });
    const digest = digestOf(token);
    // All of them are compared, so that the time tells nothing.
    const isKnown = this.#options
      .tokens()
      .map((known) => timingSafeEqual(digestOf(known), digest))
      .includes(true);
    if (isKnown) return null;
    this.#failed.note(address, nowMs);
    return this.#stranger('the token is not known here');
  }

  #stranger(message: string): Answer {
    return refusal(401, 'RENDER_UNAUTHORIZED', message, { 'www-authenticate': 'Bearer' });
  }

  #shown(headers: IncomingHttpHeaders): string | null {
    const [, bearer] = BEARER.exec(headers.authorization ?? '') ?? [];
    if (bearer !== undefined) return bearer;
    for (const part of (headers.cookie ?? '').split(';')) {
      const [name, value = ''] = part.trim().split('=', 2);
      if (name === this.#cookie && value !== '') return decodedOrNull(value);
    }
    return null;
  }

  #isOurName(host: string): boolean {
    const name = nameIn(host);
    if (name === null) return false;
    return (
      isIP(name) !== 0 ||
      name === 'localhost' ||
      name.endsWith('.localhost') ||
      this.#options.hosts.includes(name)
    );
  }
}

/** `name:port`, `1.2.3.4:port` and `[::1]:port` without the port. */
function nameIn(host: string): string | null {
  const [, six, other] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@]+))(?::\d+)?$/i.exec(host) ?? [];
  return (six ?? other)?.toLowerCase() ?? null;
}

function isSameHost(origin: string, host: string | undefined): boolean {
  try {
    return new URL(origin).host === (host ?? '').toLowerCase();
  } catch {
    return false; // `null`, or no origin at all
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function decodedOrNull(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null; // nothing that we have set
  }
}

function forbidden(message: string): Answer {
  return refusal(403, 'RENDER_UNAUTHORIZED', message);
}
