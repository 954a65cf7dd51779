// Particle swarm optimization: every particle flies on, drawn to the best place it has seen and to the best that any has.
// Weights as Clerc and Kennedy derived them for a swarm that neither explodes nor freezes at once.

import {
  type Chance,
  checkedScores,
  checkSize,
  type Point,
  randomPoint,
  type Search,
  type SearchSize,
} from './search.js';

export interface SwarmOptions extends SearchSize {
  readonly chance: Chance;
  /** Of its speed, what a particle keeps. Default 0.7298. */
  readonly inertia?: number;
  /** How strongly it is drawn to its own best place, and to that of all. Default 1.49618 each. */
  readonly own?: number;
  readonly social?: number;
  /** The most it moves along an axis at once. Default 0.25. */
  readonly speedMax?: number;
}

interface Particle {
  place: number[];
  speed: number[];
  best: Point;
  bestScore: number;
}

export class ParticleSwarm implements Search {
  readonly #options: Required<SwarmOptions>;
  readonly #particles: readonly Particle[];
  #best: Point;
  #bestScore = -Infinity;

  /** @throws RangeError */
  constructor(options: SwarmOptions) {
    checkSize(options);
    this.#options = { inertia: 0.7298, own: 1.49618, social: 1.49618, speedMax: 0.25, ...options };
    const { population, dimensions, chance, speedMax } = this.#options;
    this.#particles = Array.from({ length: population }, (): Particle => {
      const place = randomPoint(dimensions, chance);
      const speed = randomPoint(dimensions, chance).map((part) => (2 * part - 1) * speedMax);
      return { place, speed, best: place, bestScore: -Infinity };
    });
    this.#best = this.#particles[0]!.place;
  }

  ask(): readonly Point[] {
    return this.#particles.map(({ place }) => place);
  }

  tell(scores: readonly number[]): void {
    const checked = checkedScores(scores, this.#particles.length);
    for (const [index, particle] of this.#particles.entries()) {
      const score = checked[index]!;
      if (score > particle.bestScore) {
        particle.best = particle.place;
        particle.bestScore = score;
      }
      if (score > this.#bestScore) {
        this.#best = particle.place;
        this.#bestScore = score;
      }
    }
    for (const particle of this.#particles) this.#move(particle);
  }

  #move(particle: Particle): void {
    const { chance, inertia, own, social, speedMax } = this.#options;
    const place: number[] = [];
    for (const [axis, here] of particle.place.entries()) {
      const drawn =
        inertia * particle.speed[axis]! +
        own * chance() * (particle.best[axis]! - here) +
        social * chance() * (this.#best[axis]! - here);
      const speed = Math.min(speedMax, Math.max(-speedMax, drawn));
      const there = here + speed;
      const within = Math.min(1, Math.max(0, there));
      // At a wall it stops, or it would lean on it for generations.
      particle.speed[axis] = within === there ? speed : 0;
      place.push(within);
    }
    particle.place = place;
  }
}
