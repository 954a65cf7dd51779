// Files as output: a range of a file waits in the write queue like bytes do, and leaves by sendfile.
// engine_write.cc comes here when a file's turn has come; so does SendFile when nothing waits before it.
#include <sys/sendfile.h>

#include <algorithm>
#include <cerrno>

#include "core/descriptor.h"
#include "transport/engine.h"
#include "transport/limits.h"

namespace reactor_net {
namespace {

/** What sendfile says of the file rather than of the socket. */
bool IsAboutFile(int error) {
  return error == EIO || error == EINVAL || error == EOVERFLOW || error == ESTALE || error == EBADF;
}

}  // namespace

void Engine::SendFile(uint32_t number, const FileRange& file) {
  Descriptor descriptor(file.fd);
  Slot* slot = slots_.Find(number);
  if (closed_ || slot == nullptr || !slot->IsConnection() || slot->fin_sent) return;
  const bool waits = !slot->output.empty() || slot->state == Slot::State::kConnecting;
  Failure failure = SetNonBlocking(slot->fd);  // there is no MSG_DONTWAIT for sendfile
  if (!failure && !slot->output.AppendFile(file)) failure = {ENOMEM, "malloc"};
  if (failure) {
    Fail(number, *slot, failure.error);
    return;
  }
  descriptor.Release();
  if (!waits && !PushQueue(number, *slot)) return;
  ShowStatus(number, *slot);
  if (!slot->output.empty()) Unsettle(number, *slot);
  if (!in_batch_) Settle();
}

Engine::FileStep Engine::PushFile(uint32_t number, Slot& slot, const FileRange& file) {
  if (slot.file_turn != turn_) {
    slot.file_turn = turn_;
    slot.file_turn_bytes = 0;
  }
  const size_t wanted = std::min<uint64_t>(file.bytes, kFileTurnBytesMax - slot.file_turn_bytes);
  if (wanted == 0 && file.bytes > 0) return FileStep::kEnough;
  size_t sent = 0;
  if (wanted > 0) {
    off_t offset = static_cast<off_t>(file.offset);
    ssize_t taken;
    do {
      stats_.sends++;
      taken = sendfile(slot.fd, file.fd, &offset, wanted);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0 && errno == EAGAIN) return FileStep::kEnough;
    if (taken <= 0) {
      // The bytes that were announced cannot follow: only a reset tells the peer that they are missing.
      const int error = taken == 0 ? ENODATA : errno;
      const bool is_file = taken == 0 || IsAboutFile(error);
      End(number, slot, is_file ? EventType::kFileFailed : EventType::kClosed, error, is_file);
      return FileStep::kFailed;
    }
    sent = static_cast<size_t>(taken);
  }
  stats_.bytes_sent += sent;
  slot.file_turn_bytes += static_cast<uint32_t>(sent);
  slot.file_bytes_sent += static_cast<uint32_t>(sent);
  slot.output.ConsumeFile(sent);
  return sent == wanted ? FileStep::kMore : FileStep::kEnough;
}

}  // namespace reactor_net
