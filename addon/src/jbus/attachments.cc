#include "jbus/attachments.h"

#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <mutex>
#include <unordered_map>

#include "jbus/memory_file.h"
#include "jbus/segment.h"

namespace reactor_net::jbus {
namespace {

struct Table {
  std::mutex mutex;
  std::unordered_map<int, std::weak_ptr<Attachment>> by_id;
  AttachmentTotals totals;
};

/** Never destroyed: threads may still detach while the process exits. */
Table& TheTable() {
  static Table* const table = new Table();
  return *table;
}

/** What a segment too small for a page shows: neither our magic nor the zeros of one that is being made. */
constexpr uint64_t kNoMagic = UINT64_MAX;

struct Mapping {
  uint8_t* base = nullptr;
  uint64_t bytes = 0;
};

enum class Access { kRead, kReadWrite };

Result<Mapping> MapSegment(int id, Access access) {
  void* const address = shmat(id, nullptr, access == Access::kRead ? SHM_RDONLY : 0);
  if (address == reinterpret_cast<void*>(-1)) return Failure::Last("shmat");
  // Asked after mapping: while it is mapped the id cannot come to mean another segment.
  Result<SegmentStatus> status = StatSegment(id);
  if (status.ok()) return Mapping{static_cast<uint8_t*>(address), status.value().bytes};
  shmdt(address);
  return status.failure();
}

Result<Mapping> MapFile(int id, Access access) {
  Result<int> fd = DescriptorOfMemoryFile(id);
  if (!fd.ok()) return fd.failure();
  struct stat status;
  if (fstat(fd.value(), &status) != 0) return Failure::Last("fstat");
  const uint64_t bytes = static_cast<uint64_t>(status.st_size);
  const int protection = access == Access::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  void* const address = mmap(nullptr, bytes, protection, MAP_SHARED, fd.value(), 0);
  if (address == MAP_FAILED) return Failure::Last("mmap");
  return Mapping{static_cast<uint8_t*>(address), bytes};
}

Result<Mapping> Map(int id, Access access) {
  return IsMemoryFile(id) ? MapFile(id, access) : MapSegment(id, access);
}

bool Unmap(int id, const Mapping& mapping) {
  return (IsMemoryFile(id) ? munmap(mapping.base, mapping.bytes) : shmdt(mapping.base)) == 0;
}

}  // namespace

Result<std::shared_ptr<Attachment>> Attachment::Of(int id) {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  std::weak_ptr<Attachment>& entry = table.by_id[id];
  if (std::shared_ptr<Attachment> found = entry.lock()) return found;
  Result<Mapping> mapping = Map(id, Access::kReadWrite);
  if (!mapping.ok()) {
    table.by_id.erase(id);
    return mapping.failure();
  }
  std::shared_ptr<Attachment> made(new Attachment(id, mapping.value().base, mapping.value().bytes));
  entry = made;
  table.totals.attached++;
  table.totals.segments++;
  table.totals.bytes += made->bytes();
  return made;
}

Attachment::~Attachment() {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  // Between the last reference and this lock another thread may have mapped it anew: its entry stays.
  const auto entry = table.by_id.find(id_);
  if (entry != table.by_id.end() && entry->second.expired()) table.by_id.erase(entry);
  if (Unmap(id_, {base_, bytes_})) table.totals.detached++;
  table.totals.segments--;
  table.totals.bytes -= bytes_;
}

AttachmentTotals CountAttachments() {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  return table.totals;
}

Result<HeaderFacts> PeekHeader(int id) {
  Result<Mapping> mapping = Map(id, Access::kRead);
  if (!mapping.ok()) return mapping.failure();
  HeaderFacts facts;
  facts.magic = kNoMagic;
  if (mapping.value().bytes >= kDataOffset) facts = ReadHeader(SharedMemory(mapping.value().base));
  Unmap(id, mapping.value());
  return facts;
}

std::unique_ptr<SideClaim> SideClaim::Take(std::shared_ptr<Attachment> attachment, Side side) {
  if (!attachment->Reserve(side)) return nullptr;
  if (!ClaimSide(attachment->memory(), side)) {
    attachment->Unreserve(side);
    return nullptr;
  }
  return std::unique_ptr<SideClaim>(new SideClaim(std::move(attachment), side));
}

SideClaim::~SideClaim() {
  LeaveSide(attachment_->memory(), side_);
  attachment_->Unreserve(side_);
}

}  // namespace reactor_net::jbus
