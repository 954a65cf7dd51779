// The thread that parcels are transferred to; worker-ends.ts has what it does.

import { readParcels } from './worker-ends.js';

readParcels();
