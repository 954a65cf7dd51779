// Wakes itself once and throws from the callback.
import { requireAddon } from '../../../addon/index.js';

const addon = requireAddon();
const fd = addon.eventFd();
const waker = new addon.Waker(fd, () => {
  waker.close();
  addon.closeFd(fd);
  throw new RangeError('thrown by the callback');
});
addon.signalEventFd(fd);
