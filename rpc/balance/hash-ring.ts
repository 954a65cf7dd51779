// A consistent-hash ring: every member has points on a circle of 32-bit numbers, a key belongs to the next point.
// A member's points depend on its id and weight alone, so when one comes or goes only its own keys move. Members that may
// not be used just now stay on the ring and are walked past. consistent-hash.ts keeps it.

import { murmur3 } from './murmur.js';

export interface RingMember {
  readonly id: string;
  readonly weight: number;
}

/** Member numbers and 32-bit positions share one double exactly. */
const MEMBERS_MAX = 2 ** 20;

export class HashRing<M extends RingMember> {
  readonly #pointsPerWeight: number;
  readonly #pointsMax: number;
  #members: readonly M[] = [];
  #positions: Uint32Array = new Uint32Array(0);
  #owners: Uint32Array = new Uint32Array(0);

  constructor(pointsPerWeight: number, pointsMax: number) {
    this.#pointsPerWeight = pointsPerWeight;
    this.#pointsMax = pointsMax;
  }

  get pointCount(): number {
    return this.#positions.length;
  }

  /** Replaces all members. */
  build(members: readonly M[]): void {
    if (members.length > MEMBERS_MAX) throw new RangeError('too many members for one ring');
    const scale = this.#scaleFor(members);
    const sorted: number[] = [];
    for (const [number, { id, weight }] of members.entries()) {
      const points = pointsOf(weight, scale);
      for (let point = 0; point < points; point += 1) {
        sorted.push(murmur3(`${id}#${point}`) * MEMBERS_MAX + number);
      }
    }
    const packed = Float64Array.from(sorted).toSorted();
    this.#members = members;
    this.#positions = Uint32Array.from(packed, (point) => Math.floor(point / MEMBERS_MAX));
    this.#owners = Uint32Array.from(packed, (point) => point % MEMBERS_MAX);
  }

  /** The first member from `hash` on that `accepts` takes; null when it takes none. Asks a member several times. */
  find(hash: number, accepts: (member: M) => boolean): M | null {
    const owners = this.#owners;
    const start = this.#firstFrom(hash);
    for (let step = 0; step < owners.length; step += 1) {
      let at = start + step;
      if (at >= owners.length) at -= owners.length;
      const member = this.#members[owners[at]!]!;
      if (accepts(member)) return member;
    }
    return null;
  }

  /** Halved until all points fit: halving takes the later half of each member's points and leaves the others. */
  #scaleFor(members: readonly M[]): number {
    let scale = this.#pointsPerWeight;
    const total = (): number => members.reduce((sum, { weight }) => sum + pointsOf(weight, scale), 0);
    while (total() > Math.max(this.#pointsMax, members.length)) scale /= 2;
    return scale;
  }

  #firstFrom(hash: number): number {
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low === this.#positions.length ? 0 : low;
  }
}

function pointsOf(weight: number, scale: number): number {
  return Math.max(1, Math.round(weight * scale));
}
