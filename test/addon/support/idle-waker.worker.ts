// Watches the eventfd it was given without keeping its loop alive: the thread ends at once, the waker still open.
import { workerData } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';

const addon = requireAddon();
const { fd } = workerData as { fd: number };
new addon.Waker(fd, () => {}).unref();
