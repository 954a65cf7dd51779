import type { Lab, LabOptions } from './lab.js';
export async function playOverProcesses(_o: LabOptions, _run: (lab: Lab) => Promise<void>): Promise<void> {}
