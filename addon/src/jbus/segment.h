// System V shared memory, one call per function: making, finding, asking and removing segments.
// Mapping them is attachments.h; what is in them is ring_header.h. Nothing here decides anything.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/result.h"

namespace reactor_net::jbus {

/** What the kernel knows of a segment (IPC_STAT). */
struct SegmentStatus {
  int id = 0;
  int32_t key = 0;  // 0 once it was removed: it lives until the last process detaches
  uint64_t bytes = 0;
  uint32_t attach_count = 0;
  uint32_t uid = 0;
  uint32_t mode = 0;  // the nine permission bits
  bool removed = false;
  uint32_t creator_pid = 0;  // 0 when it is in another pid namespace
  uint32_t last_pid = 0;
  int64_t changed_at_s = 0;  // Unix time of creation, or of the last change of permissions
};

/** A new segment, all zeros, mode 0600, and its id; EEXIST when the key is taken. */
Result<int> CreateSegment(int32_t key, uint64_t bytes);

/** The id of the segment with this key; ENOENT when there is none. */
Result<int> FindSegment(int32_t key);

Result<SegmentStatus> StatSegment(int id);

/** Takes the key away at once and the memory with the last detach. */
Failure RemoveSegment(int id);

}  // namespace reactor_net::jbus
