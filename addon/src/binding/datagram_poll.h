// One datagram socket on a thread's loop: a uv_poll_t on its descriptor, and the rounds of a turn.
// It closes the descriptor as soon as closing begins.
#pragma once

#include <memory>

#include "binding/poll_resource.h"
#include "core/result.h"
#include "transport/datagram_socket.h"

namespace reactor_net {

class Datagrams;

class DatagramPoll final : public PollResource {
 public:
  /** Starts polling; on failure the descriptor is the caller's again. */
  static Result<DatagramPoll*> Start(AddonState* state, std::unique_ptr<DatagramSocket> socket, Datagrams* owner);

  void BeginClose() override;

  DatagramSocket& socket() { return *socket_; }
  uint64_t wakeups() const { return wakeups_; }
  uint64_t batches() const { return batches_; }
  /** Whether datagrams are taken; they wait in the kernel meanwhile. */
  void SetReceiving(bool receiving);
  /** Sends the records that the control table counts. False when one is impossible. */
  bool Flush(uint32_t count);

 private:
  DatagramPoll(AddonState* state, std::unique_ptr<DatagramSocket> socket, Datagrams* owner)
      : PollResource(state), socket_(std::move(socket)), owner_(owner) {}

  void OnReady(int status, int events) override;
  void StartFailed() override { socket_->Release(); }
  void RunTurn();
  /** Has the loop watch for what is wanted now. */
  void WatchWanted();

  const std::unique_ptr<DatagramSocket> socket_;
  Datagrams* owner_;
  bool receiving_ = true;
  int watched_ = UV_READABLE;
  uint64_t wakeups_ = 0;
  uint64_t batches_ = 0;
};

}  // namespace reactor_net
