// Output of one connection that the kernel would not take yet: a list of chunks, oldest first.
// engine_write.cc appends what is left of a write and gathers again when the socket is writable.
// Pure bookkeeping: no socket. Owns its chunks; an empty queue has none.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace reactor_net {

class WriteQueue {
 public:
  WriteQueue() = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue() { Clear(); }

  bool empty() const { return bytes_ == 0; }
  size_t bytes() const { return bytes_; }

  /** Copies to the end. False when there is no memory; then a prefix may have been taken. */
  bool Append(const uint8_t* bytes, size_t count);
  /** Describes the oldest bytes in at most `vectors_max` pieces; returns their number. */
  int Gather(iovec* vectors, int vectors_max) const;
  /** Drops the oldest `count` bytes, at most `bytes()`. */
  void Consume(size_t count);
  void Clear();

 private:
  struct Chunk;

  bool AddChunk(size_t wanted);

  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace reactor_net
