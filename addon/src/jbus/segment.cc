#include "jbus/segment.h"

#include <sys/ipc.h>
#include <sys/shm.h>

namespace reactor_net::jbus {

Result<int> CreateSegment(int32_t key, uint64_t bytes) {
  const int id = shmget(key, bytes, IPC_CREAT | IPC_EXCL | 0600);
  if (id < 0) return Failure::Last("shmget");
  return id;
}

Result<int> FindSegment(int32_t key) {
  const int id = shmget(key, 0, 0);
  if (id < 0) return Failure::Last("shmget");
  return id;
}

Result<SegmentStatus> StatSegment(int id) {
  shmid_ds raw = {};
  if (shmctl(id, IPC_STAT, &raw) != 0) return Failure::Last("shmctl");
  SegmentStatus status;
  status.id = id;
  status.key = raw.shm_perm.__key;
  status.bytes = raw.shm_segsz;
  status.attach_count = static_cast<uint32_t>(raw.shm_nattch);
  status.uid = raw.shm_perm.uid;
  status.mode = raw.shm_perm.mode & 0777;
  status.removed = (raw.shm_perm.mode & SHM_DEST) != 0;
  status.creator_pid = static_cast<uint32_t>(raw.shm_cpid);
  status.last_pid = static_cast<uint32_t>(raw.shm_lpid);
  status.changed_at_s = raw.shm_ctime;
  return status;
}

Failure RemoveSegment(int id) {
  if (shmctl(id, IPC_RMID, nullptr) == 0) return Failure::None();
  return Failure::Last("shmctl");
}

}  // namespace reactor_net::jbus
