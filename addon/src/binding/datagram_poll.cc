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
  auto* poll = new DatagramPoll(state, std::move(socket), owner);
  const int opened = uv_poll_init(state->loop(), &poll->handle_, poll->socket_->fd());
  if (opened != 0) {
    poll->socket_->Release();
    delete poll;  // uv has not taken it
    return Failure{-opened, "uv_poll_init"};
  }
  poll->handle_.data = poll;
  state->Enter(poll);
  const int started = poll->Watch();
  if (started == 0) return poll;
  poll->socket_->Release();
  poll->BeginClose();
  return Failure{-started, "uv_poll_start"};
}

void DatagramPoll::BeginClose() {
  if (owner_ == nullptr) return;
  std::exchange(owner_, nullptr)->Detach();
  uv_close(AsHandle(), OnClosed);
  // After uv_close, which still takes the descriptor out of the loop's epoll set.
  socket_->Close();
}

void DatagramPoll::SetRef(bool ref) { ref ? uv_ref(AsHandle()) : uv_unref(AsHandle()); }

void DatagramPoll::SetReceiving(bool receiving) {
  receiving_ = receiving;
  Watch();
}

bool DatagramPoll::Flush(uint32_t count) {
  const bool sound = socket_->Flush(count);
  Watch();
  return sound;
}

// libuv stops watching a descriptor that has an error and says EBADF. On a UDP socket the error is news from the
// network (ICMP), which the next call takes off it: we go on.
void DatagramPoll::OnReady(uv_poll_t* handle, int status, int events) {
  auto* poll = static_cast<DatagramPoll*>(handle->data);
  if (poll->owner_ == nullptr) return;
  if (status != 0) poll->watched_ = 0;
  if (status != 0 || (events & UV_WRITABLE) != 0) poll->socket_->Drain();
  poll->RunTurn();
  if (poll->owner_ != nullptr) poll->Watch();
}

void DatagramPoll::OnClosed(uv_handle_t* handle) {
  auto* poll = static_cast<DatagramPoll*>(handle->data);
  poll->state_->Leave(poll);
  delete poll;
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

int DatagramPoll::Watch() {
  const int wanted = (receiving_ ? UV_READABLE : 0) | (socket_->WantsWritable() ? UV_WRITABLE : 0);
  if (wanted == watched_) return 0;
  const int failed = wanted == 0 ? uv_poll_stop(&handle_) : uv_poll_start(&handle_, wanted, OnReady);
  if (failed == 0) watched_ = wanted;
  return failed;
}

}  // namespace reactor_net
