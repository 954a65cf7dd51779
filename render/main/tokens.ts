// Who may speak: the tokens of drivers and worker nodes, compared without telling by time how far they agree.
// Drivers and nodes show theirs when they register; connections, for the farm's own service, when they begin.

import { createHash, timingSafeEqual } from 'node:crypto';
import { RenderError } from '../errors.js';

export class Tokens {
  readonly #driver: Buffer | null;
  readonly #node: Buffer | null;

  /** '' lets everybody in. */
  constructor(driverToken: string, nodeToken: string) {
    this.#driver = driverToken === '' ? null : digest(driverToken);
    this.#node = nodeToken === '' ? null : digest(nodeToken);
  }

  /** @throws RenderError RENDER_UNAUTHORIZED */
  checkDriver(token: string): void {
    if (this.#driver !== null && !timingSafeEqual(digest(token), this.#driver)) throw wrong();
  }

  /** @throws RenderError RENDER_UNAUTHORIZED */
  checkNode(token: string): void {
    if (this.#node !== null && !timingSafeEqual(digest(token), this.#node)) throw wrong();
  }

  /** The name of whoever shows the token; null for a stranger. */
  nameOf(token: string): 'driver' | 'node' | null {
    const shown = digest(token);
    if (this.#driver !== null && timingSafeEqual(shown, this.#driver)) return 'driver';
    return this.#node !== null && timingSafeEqual(shown, this.#node) ? 'node' : null;
  }

  /** Whether strangers may use the farm. */
  get isOpen(): boolean {
    return this.#driver === null;
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function wrong(): RenderError {
  return new RenderError('RENDER_UNAUTHORIZED', 'the token is wrong');
}
