// Signals the eventfd it was given, `signalCount` times, and exits.
import { workerData } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';

const addon = requireAddon();
const { fd, signalCount } = workerData as { fd: number; signalCount: number };
for (let i = 0; i < signalCount; i++) addon.signalEventFd(fd);
