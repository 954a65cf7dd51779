#include "jbus/attachments.h"

#include <sys/shm.h>

#include <mutex>
#include <unordered_map>

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

Result<uint8_t*> Map(int id, int flags) {
  void* const address = shmat(id, nullptr, flags);
  if (address == reinterpret_cast<void*>(-1)) return Failure::Last("shmat");
  return static_cast<uint8_t*>(address);
}

}  // namespace

Result<std::shared_ptr<Attachment>> Attachment::Of(int id) {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  std::weak_ptr<Attachment>& entry = table.by_id[id];
  if (std::shared_ptr<Attachment> found = entry.lock()) return found;
  Result<uint8_t*> base = Map(id, 0);
  if (!base.ok()) {
    table.by_id.erase(id);
    return base.failure();
  }
  // Asked after mapping: while it is mapped the id cannot come to mean another segment.
  Result<SegmentStatus> status = StatSegment(id);
  if (!status.ok()) {
    shmdt(base.value());
    table.by_id.erase(id);
    return status.failure();
  }
  std::shared_ptr<Attachment> made(new Attachment(id, base.value(), status.value().bytes));
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
  if (shmdt(base_) == 0) table.totals.detached++;
  table.totals.segments--;
  table.totals.bytes -= bytes_;
}

AttachmentTotals CountAttachments() {
  Table& table = TheTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  return table.totals;
}

Result<HeaderFacts> PeekHeader(int id) {
  Result<uint8_t*> base = Map(id, SHM_RDONLY);
  if (!base.ok()) return base.failure();
  Result<SegmentStatus> status = StatSegment(id);
  Result<HeaderFacts> facts = Failure{EINVAL, "shmat"};
  if (!status.ok()) {
    facts = status.failure();
  } else if (status.value().bytes >= kDataOffset) {
    facts = ReadHeader(SharedMemory(base.value()));
  }
  shmdt(base.value());
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
