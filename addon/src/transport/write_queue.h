// Output of one connection that the kernel would not take yet: chunks of bytes and ranges of files, oldest first.
// engine_write.cc appends what is left of a write and gathers again when the socket is writable; engine_file.cc
// appends files. Bookkeeping alone: no socket, nothing is read. Owns its chunks and the descriptors of its files.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace reactor_net {

/** What is still to be sent of a file. */
struct FileRange {
  int fd;
  uint64_t offset;
  uint64_t bytes;
};

class WriteQueue {
 public:
  WriteQueue() = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue() { Clear(); }

  bool empty() const { return first_ == nullptr; }
  /** Held in memory: those of files do not count. */
  size_t bytes() const { return bytes_; }
  size_t files() const { return files_; }
  uint64_t file_bytes() const { return file_bytes_; }

  /** Copies to the end. False when there is no memory; then a prefix may have been taken. */
  bool Append(const uint8_t* bytes, size_t count);
  /** Adds a file, whose descriptor is ours when this succeeds. False when there is no memory. */
  bool AppendFile(const FileRange& file);
  /** Describes the oldest bytes, up to the next file, in at most `vectors_max` pieces; returns their number. */
  int Gather(iovec* vectors, int vectors_max) const;
  /** Drops the oldest `count` bytes, at most those that Gather describes. */
  void Consume(size_t count);
  /** The file whose turn it is; null while bytes come first. */
  const FileRange* FrontFile() const;
  /** Drops the first `count` bytes of that file; without any left it is closed and the next item's turn comes. */
  void ConsumeFile(size_t count);
  void Clear();

 private:
  struct Chunk;

  bool AddChunk(size_t wanted);
  void Link(Chunk* chunk);
  void DropFirst();

  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
  size_t bytes_ = 0;
  size_t files_ = 0;
  uint64_t file_bytes_ = 0;
};

}  // namespace reactor_net
