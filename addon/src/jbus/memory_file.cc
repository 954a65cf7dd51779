#include "jbus/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <mutex>

namespace reactor_net::jbus {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

struct Table {
  std::mutex mutex;
  std::map<int, Descriptor> by_id;
  int next_id = -1;
};

/** Never destroyed: threads may still use it while the process exits. */
Table& TheTable() {
  static Table* const table = new Table();
  return *table;
}

int Enter(Descriptor descriptor) {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  const int id = table.next_id--;
  table.by_id.emplace(id, std::move(descriptor));
  return id;
}

}  // namespace

Result<int> CreateMemoryFile(uint64_t bytes) {
  Descriptor descriptor(memfd_create("reactor-net-jbus", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (descriptor.get() < 0) return Failure::Last("memfd_create");
  if (ftruncate(descriptor.get(), static_cast<off_t>(bytes)) != 0) return Failure::Last("ftruncate");
  if (fcntl(descriptor.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_SEAL) != 0) return Failure::Last("fcntl");
  return Enter(std::move(descriptor));
}

Result<int> AdoptMemoryFile(Descriptor descriptor) {
  const int seals = fcntl(descriptor.get(), F_GET_SEALS);
  if (seals < 0) return Failure::Last("fcntl");
  if ((seals & kSizeSeals) != kSizeSeals) return Failure{EPERM, "fcntl"};
  return Enter(std::move(descriptor));
}

Result<int> DescriptorOfMemoryFile(int id) {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  const auto entry = table.by_id.find(id);
  if (entry == table.by_id.end()) return Failure{EBADF, "mmap"};
  return entry->second.get();
}

Failure CloseMemoryFile(int id) {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  return table.by_id.erase(id) == 1 ? Failure::None() : Failure{EBADF, "close"};
}

}  // namespace reactor_net::jbus
