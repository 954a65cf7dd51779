// A process that makes a ring under the key in its argument, tells the segment's id, and waits to be killed.

import { ShmManager } from '../../../addon/jbus/index.js';

const ring = new ShmManager().create(Number(process.argv[2]), { capacity: 4096, name: 'owned' });
process.stdout.write(`${ring.id}\n`);
setInterval(() => {}, 60_000);
