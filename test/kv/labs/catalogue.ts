// All labs by name: what labs.long.test.ts and run.ts play.

import type { Lab, LabOptions } from './lab.js';
import { agreementLabs } from './raft-agreement-labs.js';
import { persistenceLabs } from './raft-persistence-labs.js';
import { snapshotLabs } from './raft-snapshot-labs.js';
import { kvraftLabs } from './kvraft-labs.js';
import { kvsrvLabs } from './kvsrv-labs.js';
import { rsmLabs } from './rsm-labs.js';

export interface LabTest extends Omit<LabOptions, 'seed'> {
  /** Part and name as the course has them. */
  readonly name: string;
  readonly run: (lab: Lab) => Promise<void>;
}

export const LABS: readonly LabTest[] = [
  ...agreementLabs,
  ...persistenceLabs,
  ...snapshotLabs,
  ...kvsrvLabs,
  ...rsmLabs,
  ...kvraftLabs,
];
