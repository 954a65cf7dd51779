// Smooth weighted round robin: peers come up in proportion to their weights and as evenly mixed as can be.
// The scheduler asks it for a worker node per task; load lowers a weight, failures do so for a while (as nginx does).
// Pure. The current weights of all peers sum to 0 after every pick, also when weights change in between or some peers may
// not be picked; when a peer leaves, all start from 0 again so that it stays so.

import { RenderError } from './errors.js';

/** Load above which a weight shrinks; at 1 nothing is left of it. */
const LOAD_FREE = 0.6;

export interface SmoothWrrOptions {
  /** So many failures in a row take all of a peer's weight. Default 3. */
  readonly failuresMax?: number;
  /** Weight that comes back with every pick after a failure. Default 1. */
  readonly recovery?: number;
}

interface Peer<K> {
  readonly key: K;
  /** The how-manyth that was added. */
  readonly order: number;
  weight: number;
  /** What the load leaves of the weight. */
  loaded: number;
  /** What failures have taken for now. */
  penalty: number;
  current: number;
}

export class SmoothWrr<K> {
  readonly #peers = new Map<K, Peer<K>>();
  /** Those that take part in picks, in the order in which they were added. */
  readonly #present: Peer<K>[] = [];
  #added = 0;
  readonly #failuresMax: number;
  readonly #recovery: number;

  constructor(options: SmoothWrrOptions = {}) {
    this.#failuresMax = options.failuresMax ?? 3;
    this.#recovery = options.recovery ?? 1;
  }

  /** @throws RenderError RENDER_OPTION_INVALID: the weight is no whole number above 0. */
  add(key: K, weight: number): void {
    if (!Number.isSafeInteger(weight) || weight < 1)
      throw new RenderError('RENDER_OPTION_INVALID', `weight: ${weight} is no whole number above 0`);
    if (this.#peers.has(key)) throw new RenderError('RENDER_OPTION_INVALID', 'the peer is there already');
    this.#added += 1;
    const peer: Peer<K> = { key, order: this.#added, weight, loaded: weight, penalty: 0, current: 0 };
    this.#peers.set(key, peer);
    this.#present.push(peer);
  }

  remove(key: K): boolean {
    const peer = this.#peers.get(key);
    if (peer === undefined) return false;
    this.setPresent(key, false);
    this.#peers.delete(key);
    for (const other of this.#peers.values()) other.current = 0;
    return true;
  }

  /**
   * Leaves a peer out of picks, or takes it in again; it keeps its current weight. The same as an `eligible` that says so,
   * but picks cost nothing for those who are out.
   */
  setPresent(key: K, isPresent: boolean): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    let at = this.#present.length;
    while (at > 0 && this.#present[at - 1]!.order >= peer.order) at -= 1;
    const was = this.#present[at] === peer;
    if (isPresent && !was) this.#present.splice(at, 0, peer);
    if (!isPresent && was) this.#present.splice(at, 1);
  }

  /** @param load from 0 to 1; weights need to be some 100 for the steps to be fine */
  setLoad(key: K, load: number): void {
    const peer = this.#peers.get(key);
    if (peer !== undefined) peer.loaded = loadedWeight(peer.weight, load);
  }

  failed(key: K): void {
    const peer = this.#peers.get(key);
    if (peer !== undefined)
      peer.penalty = Math.min(peer.weight, peer.penalty + peer.weight / this.#failuresMax);
  }

  /** The next of those who may be picked, ties to the first that was added; null when nobody may. */
  pick(eligible: (key: K) => boolean = () => true): K | null {
    let best: Peer<K> | null = null;
    let total = 0;
    for (const peer of this.#present) {
      if (!eligible(peer.key)) continue;
      const effective = peer.penalty > 0 ? this.#recovering(peer) : peer.loaded;
      peer.current += effective;
      total += effective;
      if (best === null || peer.current > best.current) best = peer;
    }
    if (best === null) return null;
    best.current -= total;
    return best.key;
  }

  /** Current weights in the order in which peers were added. */
  currentWeights(): number[] {
    return Array.from(this.#peers.values(), ({ current }) => current);
  }

  effectiveWeight(key: K): number | null {
    const peer = this.#peers.get(key);
    return peer === undefined ? null : Math.max(0, Math.round(peer.loaded - peer.penalty));
  }

  get size(): number {
    return this.#peers.size;
  }

  #recovering(peer: Peer<K>): number {
    const effective = Math.max(0, Math.round(peer.loaded - peer.penalty));
    peer.penalty = Math.max(0, peer.penalty - this.#recovery);
    return effective;
  }
}

/** What a load leaves of a weight: all of it up to 0.6, then less and less, at 1 nothing. */
export function loadedWeight(weight: number, load: number): number {
  const over = Math.max(0, load - LOAD_FREE) / (1 - LOAD_FREE);
  return Math.max(0, Math.round(weight * (1 - over)));
}
