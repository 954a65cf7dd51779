// The 'consistent-hash' balancer: calls with one `hashKey` go to one instance, and few keys move when instances change.
// The ring (hash-ring.ts) holds every instance that was ever offered and not removed; those that are not among the
// candidates (ejected, draining, already tried) are walked past, so their keys return to them when they return.
// With `loadFactor` no instance gets more than that many times its fair share of the calls under way: the next one on the
// ring takes the rest (consistent hashing with bounded loads, Mirrokni, Thorup, Zadimoghaddam 2016).

import { checkNumber, invalidOption } from '../option-checks.js';
import type { Balancer, Candidate, PickRequest } from './balancer.js';
import { HashRing } from './hash-ring.js';
import { murmur3 } from './murmur.js';

export interface ConsistentHashOptions {
  readonly pointsPerWeight: number;
  readonly loadFactor: number;
}

/** Points of all instances together; more change the spread by less than one part in a hundred. */
const POINTS_MAX = 65_536;

interface Member {
  readonly id: string;
  readonly weight: number;
  readonly candidate: Candidate;
  /** The array it was last seen in, as a number. */
  seenIn: number;
}

export class ConsistentHashBalancer implements Balancer {
  readonly #random: () => number;
  readonly #loadFactor: number;
  readonly #ring: HashRing<Member>;
  readonly #members = new Map<Candidate, Member>();
  #candidates: readonly Candidate[] | null = null;
  #arrayNumber = 0;
  #weightTotal = 0;
  /** Calls under way per unit of weight above which an instance is walked past. */
  #loadMax = Infinity;

  readonly #isCandidate = (member: Member): boolean => member.seenIn === this.#arrayNumber;
  readonly #hasRoom = (member: Member): boolean =>
    member.seenIn === this.#arrayNumber &&
    member.candidate.callsInFlight < Math.ceil(this.#loadMax * member.weight);

  constructor(random: () => number, options: ConsistentHashOptions) {
    const { pointsPerWeight, loadFactor } = options;
    checkNumber('balancer', 'pointsPerWeight', pointsPerWeight, { min: 1, max: 10_000 });
    checkNumber('balancer', 'loadFactor', loadFactor, { min: 0 });
    if (loadFactor > 0 && loadFactor <= 1) {
      throw invalidOption('balancer', 'loadFactor', `must be above 1, or 0 for none, not ${loadFactor}`);
    }
    this.#random = random;
    this.#loadFactor = loadFactor;
    this.#ring = new HashRing(pointsPerWeight, POINTS_MAX);
  }

  /** Calls without a key go anywhere. */
  pick(candidates: readonly Candidate[], request: PickRequest): Candidate {
    if (candidates !== this.#candidates) this.#take(candidates);
    const key = request.hashKey;
    const hash = key === undefined ? Math.trunc(this.#random() * 2 ** 32) : murmur3(key);
    if (this.#loadFactor > 0) {
      let callsInFlight = 1; // the one that is to be placed
      for (const candidate of candidates) callsInFlight += candidate.callsInFlight;
      this.#loadMax = (this.#loadFactor * callsInFlight) / this.#weightTotal;
      const roomy = this.#ring.find(hash, this.#hasRoom);
      if (roomy !== null) return roomy.candidate;
    }
    return this.#ring.find(hash, this.#isCandidate)?.candidate ?? candidates[0]!;
  }

  removed(candidate: Candidate): void {
    if (this.#members.delete(candidate)) this.#rebuild();
  }

  #take(candidates: readonly Candidate[]): void {
    this.#candidates = candidates;
    this.#arrayNumber += 1;
    this.#weightTotal = 0;
    let hasChanged = false;
    for (const candidate of candidates) {
      const { id, weight } = candidate.instance;
      this.#weightTotal += weight;
      const member = this.#members.get(candidate);
      if (member?.weight === weight) {
        member.seenIn = this.#arrayNumber;
      } else {
        this.#members.set(candidate, { id, weight, candidate, seenIn: this.#arrayNumber });
        hasChanged = true;
      }
    }
    if (hasChanged) this.#rebuild();
  }

  #rebuild(): void {
    this.#ring.build([...this.#members.values()]);
  }
}
