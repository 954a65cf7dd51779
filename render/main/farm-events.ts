// Who listens to changes of the farm. With nobody there, an event costs nothing.

import type { FarmEvent } from './farm.js';

export class FarmEvents {
  readonly #listeners = new Set<(event: FarmEvent) => void>();

  readonly tell = (event: FarmEvent): void => {
    for (const listener of this.#listeners) listener(event);
  };

  subscribe(listener: (event: FarmEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
