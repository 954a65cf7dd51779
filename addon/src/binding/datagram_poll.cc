#include "binding/datagram_poll.h"

#include <utility>

#include "binding/datagrams.h"

namespace reactor_net {
namespace {

/** Batches before the loop's other handles get their turn. */
constexpr int kRoundsPerTurnMax = 4;

}  // namespace

Result<DatagramPoll*> DatagramPoll::Start(AddonState* state, std::unique_ptr<DatagramSocket> socket,
                                          Datagrams* owner) {
  const int fd = socket->fd();
  std::unique_ptr<DatagramPoll> poll(new DatagramPoll(state, std::move(socket), owner));
  return PollResource::Start(std::move(poll), fd, UV_READABLE);
}

void DatagramPoll::BeginClose() {
  if (owner_ == nullptr) return;
  std::exchange(owner_, nullptr)->Detach();
  CloseHandle();
  // After uv_close, which still takes the descriptor out of the loop's epoll set.
  socket_->Close();
}

void DatagramPoll::SetReceiving(bool receiving) {
  receiving_ = receiving;
  WatchWanted();
}

bool DatagramPoll::Flush(uint32_t count) {
  const bool sound = socket_->Flush(count);
  WatchWanted();
  return sound;
}

// libuv stops watching a descriptor that has an error and says EBADF. On a UDP socket the error is news from the
// network (ICMP), which the next call takes off it: we go on.
void DatagramPoll::OnReady(int status, int events) {
  if (owner_ == nullptr) return;
  if (status != 0) watched_ = 0;
  if (status != 0 || (events & UV_WRITABLE) != 0) socket_->Drain();
  RunTurn();
  if (owner_ != nullptr) WatchWanted();
}

// JavaScript may close this socket in any batch: after each one the owner says whether we go on.
void DatagramPoll::RunTurn() {
  wakeups_++;
  for (int round = 0; round < kRoundsPerTurnMax; round++) {
    const size_t count = receiving_ ? socket_->Receive() : socket_->TakeNews();
    if (count == 0) return;
    batches_++;
    const bool was_full = socket_->was_full();
    const bool alive = owner_->HandBatch(static_cast<uint32_t>(count));
    if (owner_ == nullptr) return;
    if (!owner_->FlushStaged()) owner_->RefuseRecords();
    if (!alive || owner_ == nullptr) return;
    // Fewer than there was room for: the socket is empty, and tells when it no longer is.
    if (!was_full && !socket_->WantsWritable()) return;
  }
}

void DatagramPoll::WatchWanted() {
  const int wanted = (receiving_ ? UV_READABLE : 0) | (socket_->WantsWritable() ? UV_WRITABLE : 0);
  if (wanted != watched_ && Watch(wanted) == 0) watched_ = wanted;
}

}  // namespace reactor_net
