// A process that writes numbered records into a ring, going on where the last writer stopped: id, count, seed.
// Count 0: until it is killed, or the reader is.

import { ShmRing } from '../../../addon/jbus/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { patternBytes } from './rings.js';

const [id, count, seed] = process.argv.slice(2).map(Number);
const random = new SeededRandom(seed!);
const ring = ShmRing.attach(id!);
const writer = ring.writer();
const last = count === 0 ? Infinity : count!;
for (let number = writer.facts().records + 1; number <= last; number += 1) {
  const bytes = patternBytes(number, random.integer(0, random.chance(0.05) ? 5000 : 100));
  while (writer.write(1, number, bytes) === 0) {
    if (!writer.spin(bytes.length + 64, 1000) && !writer.peer().alive) process.exit(1);
  }
}
writer.close();
ring.close();
