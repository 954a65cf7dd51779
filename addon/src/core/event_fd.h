// The eventfd by which one thread rouses another: create, signal, drain.
// Signals add up in the kernel counter, so any number of them before a drain is one wake-up.
#pragma once

#include "core/result.h"

namespace reactor_net {

/** A non-blocking eventfd with counter 0, closed on exec; the caller owns it. */
Result<int> CreateEventFd();

/** Adds one to the counter. A full counter is success: the reader has yet to see the earlier signals. */
Failure SignalEventFd(int fd);

/** Reads the counter back to 0; false when there was nothing to read. */
Result<bool> DrainEventFd(int fd);

/** Whether `fd` is an eventfd; EBADF for a free number. Without /proc every open file passes. */
Result<bool> IsEventFd(int fd);

}  // namespace reactor_net
