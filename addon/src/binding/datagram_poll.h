// One datagram socket on a thread's loop: a uv_poll_t on its descriptor, and the rounds of a turn.
// It outlives its Datagrams by the uv close callback, and closes the descriptor as soon as closing begins.
#pragma once

#include <memory>

#include "binding/addon_state.h"
#include "core/result.h"
#include "transport/datagram_socket.h"

namespace reactor_net {

class Datagrams;

class DatagramPoll final : public LoopResource {
 public:
  /** Starts polling; on failure the descriptor is the caller's again. */
  static Result<DatagramPoll*> Start(AddonState* state, std::unique_ptr<DatagramSocket> socket, Datagrams* owner);

  void BeginClose() override;

  DatagramSocket& socket() { return *socket_; }
  uint64_t wakeups() const { return wakeups_; }
  uint64_t batches() const { return batches_; }
  void SetRef(bool ref);
  /** Whether datagrams are taken; they wait in the kernel meanwhile. */
  void SetReceiving(bool receiving);
  /** Sends the records that the control table counts. False when one is impossible. */
  bool Flush(uint32_t count);

 private:
  DatagramPoll(AddonState* state, std::unique_ptr<DatagramSocket> socket, Datagrams* owner)
      : state_(state), socket_(std::move(socket)), owner_(owner) {}

  static void OnReady(uv_poll_t* handle, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  uv_handle_t* AsHandle() { return reinterpret_cast<uv_handle_t*>(&handle_); }
  void RunTurn();
  /** Has the loop watch for what is wanted now. */
  int Watch();

  AddonState* const state_;
  const std::unique_ptr<DatagramSocket> socket_;
  Datagrams* owner_;
  bool receiving_ = true;
  int watched_ = 0;
  uint64_t wakeups_ = 0;
  uint64_t batches_ = 0;
  uv_poll_t handle_;
};

}  // namespace reactor_net
