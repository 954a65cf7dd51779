// Anonymous memory files (memfd) as segments: shared by passing the descriptor, found by nobody else, gone with the
// last process that has it. This process names an open one by an id below 0, never used twice; attachments.h maps it.
#pragma once

#include <cstdint>

#include "core/descriptor.h"
#include "core/result.h"

namespace reactor_net::jbus {

constexpr bool IsMemoryFile(int id) { return id < 0; }

/** A new one, all zeros, whose size nobody can change any more. */
Result<int> CreateMemoryFile(uint64_t bytes);

/** Takes over a descriptor that came from another process. EPERM unless its size is sealed: reading it could fail. */
Result<int> AdoptMemoryFile(Descriptor descriptor);

/** The descriptor behind an id, to be passed on; EBADF when it was closed. It stays owned here. */
Result<int> DescriptorOfMemoryFile(int id);

/** The id means nothing from now on; what is mapped stays. */
Failure CloseMemoryFile(int id);

}  // namespace reactor_net::jbus
