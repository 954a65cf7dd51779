#include "transport/write_queue.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/descriptor.h"

namespace reactor_net {

struct WriteQueue::Chunk {
  Chunk* next;
  uint32_t begin;  // first byte not yet consumed
  uint32_t end;    // first free byte
  uint32_t capacity;
  bool is_file;  // then a FileRange follows, and there is no room for bytes

  uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
  FileRange* file() { return reinterpret_cast<FileRange*>(this + 1); }
};

namespace {

/** Small rests share a chunk; a large backlog does not ask malloc for more than this at a time. */
constexpr size_t kChunkBytesMin = 4 * 1024;
constexpr size_t kChunkBytesMax = 256 * 1024;

}  // namespace

bool WriteQueue::Append(const uint8_t* bytes, size_t count) {
  while (count > 0) {
    if ((last_ == nullptr || last_->end == last_->capacity) && !AddChunk(count)) return false;
    const size_t taken = std::min<size_t>(count, last_->capacity - last_->end);
    std::memcpy(last_->data() + last_->end, bytes, taken);
    last_->end += static_cast<uint32_t>(taken);
    bytes_ += taken;
    bytes += taken;
    count -= taken;
  }
  return true;
}

int WriteQueue::Gather(iovec* vectors, int vectors_max) const {
  int count = 0;
  for (Chunk* chunk = first_; chunk != nullptr && !chunk->is_file && count < vectors_max; chunk = chunk->next) {
    vectors[count++] = {chunk->data() + chunk->begin, chunk->end - chunk->begin};
  }
  return count;
}

void WriteQueue::Consume(size_t count) {
  bytes_ -= count;
  while (count > 0) {
    Chunk* chunk = first_;
    const size_t taken = std::min<size_t>(count, chunk->end - chunk->begin);
    chunk->begin += static_cast<uint32_t>(taken);
    count -= taken;
    if (chunk->begin < chunk->end) return;
    DropFirst();
  }
}

bool WriteQueue::AppendFile(const FileRange& file) {
  auto* chunk = static_cast<Chunk*>(std::malloc(sizeof(Chunk) + sizeof(FileRange)));
  if (chunk == nullptr) return false;
  *chunk = {nullptr, 0, 0, 0, true};
  new (chunk->file()) FileRange(file);
  Link(chunk);
  files_++;
  file_bytes_ += file.bytes;
  return true;
}

const FileRange* WriteQueue::FrontFile() const {
  return first_ != nullptr && first_->is_file ? first_->file() : nullptr;
}

void WriteQueue::ConsumeFile(size_t count) {
  FileRange* file = first_->file();
  file->offset += count;
  file->bytes -= count;
  file_bytes_ -= count;
  if (file->bytes == 0) DropFirst();
}

void WriteQueue::Clear() {
  while (first_ != nullptr) DropFirst();
  bytes_ = 0;
}

bool WriteQueue::AddChunk(size_t wanted) {
  const size_t capacity = std::clamp(wanted, kChunkBytesMin, kChunkBytesMax);
  auto* chunk = static_cast<Chunk*>(std::malloc(sizeof(Chunk) + capacity));
  if (chunk == nullptr) return false;
  *chunk = {nullptr, 0, 0, static_cast<uint32_t>(capacity), false};
  Link(chunk);
  return true;
}

void WriteQueue::Link(Chunk* chunk) {
  (last_ == nullptr ? first_ : last_->next) = chunk;
  last_ = chunk;
}

void WriteQueue::DropFirst() {
  Chunk* chunk = first_;
  first_ = chunk->next;
  if (first_ == nullptr) last_ = nullptr;
  if (chunk->is_file) {
    files_--;
    file_bytes_ -= chunk->file()->bytes;
    (void)static_cast<bool>(CloseDescriptor(chunk->file()->fd));
  }
  std::free(chunk);
}

}  // namespace reactor_net
