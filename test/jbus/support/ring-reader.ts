// A process that takes records out of a ring and checks them, until it is killed, or the writer is: segment id.

import { ShmRing } from '../../../addon/jbus/index.js';
import { readAll } from './crash-rounds.js';

const ring = ShmRing.attach(Number(process.argv[2]));
const reader = ring.reader();
for (let last = 0; reader.spin(1000) || reader.peer().alive; ) last = readAll(reader, last);
