// A process that makes a ring under the key in its first argument, tells the segment's id, and waits to be killed.
// With a second argument it does so as that user, once it has loaded what only its own user may be able to read.

import { requireAddon } from '../../../addon/index.js';
import { ShmManager } from '../../../addon/jbus/index.js';

const [key, uid] = process.argv.slice(2).map(Number);
requireAddon();
if (uid !== undefined) process.setuid!(uid);
const ring = new ShmManager().create(key!, { capacity: 4096, name: 'owned' });
process.stdout.write(`${ring.id}\n`);
setInterval(() => {}, 60_000);
