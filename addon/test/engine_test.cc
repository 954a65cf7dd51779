// transport/engine over real sockets, driven by hand: what a turn reads, writes, tells and leaves alone.
#include "transport/engine.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/local_address.h"
#include "engine_bench.h"
#include "transport/limits.h"

using namespace reactor_net;

namespace {

void FramesAreCutAndAnswered() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  SendAll(peer.get(), Tlv(7, "hello") + Tlv(8, "") + Tlv(9, "wor").substr(0, 9));
  std::vector<Event> events = bench.Await();
  CHECK(events.size() == 2);
  CHECK(events[0].type == EventType::kFrame && events[0].a == 7 && bench.Text(events[0]) == "hello");
  CHECK(events[1].type == EventType::kFrame && events[1].a == 8 && events[1].c == 0);
  bench.Write(slot, "one ");
  bench.Write(slot, "two");
  CHECK(bench.Flush());
  CHECK(bench.engine().stats().sends == 1);
  CHECK(ReceiveExactly(peer.get(), 7) == "one two");
  SendAll(peer.get(), "or");
  events = bench.Await();
  CHECK(events.size() == 1 && events[0].a == 9 && bench.Text(events[0]) == "wor");
}

void RecordsOfOneSlotLeaveTogether() {
  Bench bench;
  uint32_t first = 0;
  uint32_t second = 0;
  const Descriptor one(bench.Connect(0, &first));
  const Descriptor two(bench.Connect(0, &second));
  for (int i = 0; i < 1500; i++) {
    bench.Write(first, "a");
    bench.Write(second, i % 2 == 0 ? "b" : "c");
  }
  CHECK(bench.Flush());
  CHECK(bench.engine().stats().sends == 4);  // 1500 pieces each, 1024 per call
  CHECK(ReceiveExactly(one.get(), 1500) == std::string(1500, 'a'));
  CHECK(ReceiveExactly(two.get(), 1500).substr(0, 4) == "bcbc");
}

void WhatCameInGoesOutUncopied() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  SendAll(peer.get(), Tlv(7, "hello"));
  const std::vector<Event> events = bench.Await();
  bench.WriteRange(slot, bench.send_bytes() + events[0].b, events[0].c);
  CHECK(bench.Flush());
  CHECK(ReceiveExactly(peer.get(), 5) == "hello");
}

void ImpossibleRecordsSendNothing() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  bench.Write(slot, "fine");
  bench.WriteRange(slot, bench.send_bytes() - 1, 2);
  CHECK(!bench.Flush());
  CHECK(bench.engine().stats().sends == 0);
}

void WaitingOutputDrains() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  size_t written = 0;
  while (bench.PendingBytes(slot) == 0) {
    CHECK(bench.engine().setbacks() == 0);
    bench.Write(slot, std::string(500'000, 'x'));
    CHECK(bench.Flush());
    written += 500'000;
  }
  CHECK(bench.engine().setbacks() == 1);
  bench.engine().Shutdown(slot);
  CHECK(bench.Flush());
  uint64_t drained = 0;
  const uint32_t waited = bench.PendingBytes(slot);
  size_t received = 0;
  std::string buffer(1 << 20, '\0');
  while (received < written) {
    const ssize_t got = recv(peer.get(), buffer.data(), buffer.size(), 0);
    CHECK(got > 0);
    received += static_cast<size_t>(got);
    for (const Event& event : bench.Turn()) {
      CHECK(event.type == EventType::kDrained);
      drained += event.a;
    }
    CHECK(bench.Flush());
  }
  CHECK(drained == waited && bench.PendingBytes(slot) == 0);
  CHECK(recv(peer.get(), buffer.data(), 1, 0) == 0);  // the FIN came after everything
  CHECK(bench.IsQuiet());
}

void OutputBeyondTheCapFails() {
  Bench bench(4096, 1 << 20, 100'000);
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  std::vector<Event> events;
  for (int i = 0; i < 1000 && events.empty(); i++) {
    bench.Write(slot, std::string(100'000, 'x'));
    CHECK(bench.Flush());
    CHECK(bench.PendingBytes(slot) <= 100'000);
    events = bench.Turn();
  }
  CHECK(events.size() == 1 && events[0].type == EventType::kClosed && events[0].a == ENOBUFS);
}

void PausedIsSilent() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  CHECK(bench.Flush());
  const uint64_t before = bench.engine().stats().epoll_controls;
  bench.engine().Pause(slot);
  bench.engine().Resume(slot);
  CHECK(bench.engine().stats().epoll_controls == before);  // nothing came in between
  bench.engine().Pause(slot);
  SendAll(peer.get(), Tlv(1, "later"));
  CHECK(bench.Turn().empty());
  CHECK(bench.IsQuiet());
  bench.engine().Resume(slot);
  const std::vector<Event> events = bench.Await();
  CHECK(events.size() == 1 && bench.Text(events[0]) == "later");
}

void PausedPeersMayEndAndBreak() {
  Bench bench;
  uint32_t slot = 0;
  Descriptor peer(bench.Connect(bench.tlv(), &slot));
  bench.engine().Pause(slot);
  SendAll(peer.get(), Tlv(1, "last"));
  CHECK(shutdown(peer.get(), SHUT_WR) == 0);
  bench.engine().Shutdown(slot);
  CHECK(bench.Flush());
  while (!bench.IsQuiet()) CHECK(bench.Turn().empty());  // hung up both ways, and still no event
  bench.engine().Resume(slot);
  std::vector<Event> events = bench.Await();
  CHECK(events.size() == 2 && bench.Text(events[0]) == "last" && events[1].type == EventType::kEnd);
  CHECK(bench.Flush());
  while (!bench.IsQuiet()) CHECK(bench.Turn().empty());

  uint32_t other = 0;
  const int reset = bench.Connect(bench.tlv(), &other);
  bench.engine().Pause(other);
  const linger now = {1, 0};
  CHECK(setsockopt(reset, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  CHECK(close(reset) == 0);
  events = bench.Await();
  CHECK(events.size() == 1 && events[0].type == EventType::kClosed && events[0].a == ECONNRESET);
}

void HalfClosedStillAnswers() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  SendAll(peer.get(), Tlv(1, "a"));
  CHECK(shutdown(peer.get(), SHUT_WR) == 0);
  std::vector<Event> events = bench.Await();
  while (events.back().type != EventType::kEnd) events = bench.Await();
  bench.Write(slot, "answer");
  CHECK(bench.Flush());
  while (!bench.IsQuiet()) CHECK(bench.Turn().empty());
  CHECK(ReceiveExactly(peer.get(), 6) == "answer");
}

void FullTableLosesNothing() {
  Bench bench(kEventRecordsMin, kReceiveSlabBytesMin);
  constexpr int kPeers = 8;
  constexpr uint32_t kFramesEach = 2000;
  std::vector<int> peers;
  std::vector<uint32_t> next(64, 0);
  std::string wire;
  for (uint32_t i = 0; i < kFramesEach; i++) wire += Tlv(i, i % 100 == 0 ? std::string(5000, 'x') : "");
  for (int i = 0; i < kPeers; i++) {
    uint32_t slot = 0;
    peers.push_back(bench.Connect(bench.tlv(), &slot));
    SendAll(peers.back(), wire);
  }
  for (uint32_t seen = 0; seen < kPeers * kFramesEach;) {
    const std::vector<Event> events = bench.Await();
    CHECK(events.size() <= kEventRecordsMin);
    for (const Event& event : events) {
      CHECK(event.type == EventType::kFrame);
      CHECK(event.a == next[event.slot]++);
      CHECK(bench.Text(event) == (event.a % 100 == 0 ? std::string(5000, 'x') : ""));
      seen++;
    }
    CHECK(bench.Flush());
  }
  for (const int peer : peers) close(peer);
}

void OneTurnIsBounded() {
  Bench bench;
  int ends[2];  // a Unix pair has what was sent at once, TCP may leave it in flight
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  const Descriptor peer(ends[0]);
  bench.engine().Resume(bench.engine().Add(ends[1], 0).value());
  const std::string block(1 << 20, 'x');
  const auto top_up = [&] {
    while (send(peer.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) continue;
  };
  size_t bytes = 0;
  bench.engine().BeginTurn();
  for (int round = 0; round < 50; round++) {
    top_up();
    for (const Event& event : bench.Poll()) bytes += event.c;
    CHECK(bench.Flush());
  }
  CHECK(bytes >= kTurnBytesMax && bytes < kTurnBytesMax + kReceiveBytesMax);
  CHECK(!bench.Turn().empty());
}

void ClosedInTheBatchIsGone() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  SendAll(peer.get(), Tlv(1, "a"));
  CHECK(bench.Await().size() == 1);
  bench.Write(slot, "dropped");
  bench.engine().Close(slot, false);
  uint32_t next = 0;
  const Descriptor other(bench.Connect(bench.tlv(), &next));
  CHECK(next != slot);
  CHECK(bench.Flush());
  char byte = 0;
  CHECK(recv(peer.get(), &byte, 1, 0) == 0);
  CHECK(bench.Turn().empty());
  uint32_t reused = 0;
  const Descriptor third(bench.Connect(bench.tlv(), &reused));
  CHECK(reused == slot);
}

void ListenersAcceptAndPause() {
  Bench bench;
  ListenOptions options;
  options.bind.host = "127.0.0.1";
  BoundSocket bound = std::move(ListenTcp(options).value());
  const int port = bound.port;
  fcntl(bound.descriptor.get(), F_SETFL, 0);  // blocks, as one that systemd opened
  const uint32_t listener = bench.engine().Listen(bound.descriptor.Release(), false, bench.tlv()).value();
  const uint32_t client = bench.engine().ConnectTcp("127.0.0.1", port, bench.tlv()).value();
  bench.Write(client, Tlv(5, "early"));  // waits for the connection
  CHECK(bench.Flush());
  uint32_t accepted = kNone;
  bool connected = false;
  std::string received;
  while (received.empty() || !connected) {
    for (const Event& event : bench.Await()) {
      if (event.type == EventType::kAccepted) {
        CHECK(event.slot == listener);
        accepted = event.a;
        bench.engine().Resume(accepted);
      } else if (event.type == EventType::kConnected) {
        CHECK(event.slot == client);
        connected = true;
      } else if (event.type == EventType::kFrame) {
        CHECK(event.slot == accepted);
        received = bench.Text(event);
      }
    }
    CHECK(bench.Flush());
  }
  CHECK(received == "early");
  bench.engine().Pause(listener);
  const uint32_t second = bench.engine().ConnectTcp("127.0.0.1", port, bench.tlv()).value();
  const std::vector<Event> events = bench.Await();
  CHECK(events.size() == 1 && events[0].type == EventType::kConnected && events[0].slot == second);
  CHECK(bench.Flush());
  CHECK(bench.IsQuiet());
  bench.engine().Resume(listener);
  CHECK(bench.Await()[0].type == EventType::kAccepted);
  CHECK(bench.Flush());
  bench.engine().Close(listener, false);
  CHECK(bench.Flush());
  while (!bench.IsQuiet()) CHECK(bench.Turn().empty());
  const uint32_t refused = bench.engine().ConnectTcp("127.0.0.1", port, bench.tlv()).value();
  const std::vector<Event> after = bench.Await();
  CHECK(after.size() == 1 && after[0].slot == refused && after[0].a == ECONNREFUSED);
}

void BrokenOutputIsReported() {
  Bench bench;
  uint32_t slot = 0;
  const int peer = bench.Connect(bench.tlv(), &slot, false);
  CHECK(bench.Flush());
  CHECK(close(peer) == 0);
  std::vector<Event> events;
  for (int i = 0; i < 100 && events.empty(); i++) {
    CHECK(bench.engine().setbacks() == 0);
    bench.Write(slot, "x");
    CHECK(bench.Flush());
    events = bench.Turn();
  }
  CHECK(bench.engine().setbacks() == 1);
  CHECK(events.size() == 1 && events[0].type == EventType::kClosed);
  CHECK(events[0].a == EPIPE || events[0].a == ECONNRESET);
  CHECK(bench.engine().DescriptorOf(slot) == -1);
}

void ReleaseGivesTheDescriptorBack() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  const Descriptor taken(bench.engine().Release(slot));
  CHECK(taken.get() >= 0);
  SendAll(peer.get(), "abc");
  CHECK(bench.IsQuiet());
  CHECK(ReceiveExactly(taken.get(), 3) == "abc");
}

void NonsenseEndsTheReading() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(bench.tlv(), &slot));
  const uint32_t header[2] = {1, 0x80000000u};
  SendAll(peer.get(), std::string(reinterpret_cast<const char*>(header), sizeof header) + "more");
  const std::vector<Event> events = bench.Await();
  CHECK(events.size() == 1 && events[0].type == EventType::kTooLarge && events[0].a == 0x80000000u);
  CHECK(bench.Flush());
  bench.engine().Resume(slot);
  SendAll(peer.get(), "and more");
  CHECK(bench.Turn().empty());
  CHECK(bench.IsQuiet());
}

void UnixPathsConnect() {
  Bench bench;
  const std::string path = std::string("\0reactor-net-engine-test-", 25) + std::to_string(getpid());
  Result<Descriptor> listening = ListenUnix(path, 8);
  CHECK(listening.ok());
  const uint32_t listener = bench.engine().Listen(listening.value().Release(), false, 0).value();
  const uint32_t client = bench.engine().ConnectUnix(path, 0).value();
  bool connected = false;
  bool accepted = false;
  while (!connected || !accepted) {
    for (const Event& event : bench.Await()) {
      connected = connected || (event.type == EventType::kConnected && event.slot == client);
      accepted = accepted || (event.type == EventType::kAccepted && event.slot == listener);
    }
    CHECK(bench.Flush());
  }
}

void ClosingLeavesNoDescriptor() {
  const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(before);
  {
    Bench bench;
    uint32_t slot = 0;
    close(bench.Connect(bench.tlv(), &slot));
    close(bench.Connect(bench.tlv(), &slot));
  }
  const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(after);
  CHECK(before == after);
}

}  // namespace

int main() {
  Run("frames of one read are one batch, and its answers one write", FramesAreCutAndAnswered);
  Run("records of one connection leave together and in order", RecordsOfOneSlotLeaveTogether);
  Run("what came in may go out without a copy", WhatCameInGoesOutUncopied);
  Run("a record outside the slab keeps everything from being sent", ImpossibleRecordsSendNothing);
  Run("waiting output drains, is reported, and the FIN follows it", WaitingOutputDrains);
  Run("output beyond the cap closes the connection", OutputBeyondTheCapFails);
  Run("a paused connection is silent and costs nothing until something arrives", PausedIsSilent);
  Run("a paused connection keeps what arrived before the FIN, and tells of a reset", PausedPeersMayEndAndBreak);
  Run("a half-closed connection still answers", HalfClosedStillAnswers);
  Run("a full table or slab ends the batch and loses nothing", FullTableLosesNothing);
  Run("one connection gets a bounded number of bytes per turn", OneTurnIsBounded);
  Run("a connection closed in its batch sends nothing and its number rests", ClosedInTheBatchIsGone);
  Run("a listener accepts, pauses, resumes and closes; output waits for the connection", ListenersAcceptAndPause);
  Run("output to a peer that is gone ends in a report", BrokenOutputIsReported);
  Run("a released descriptor is the caller's again", ReleaseGivesTheDescriptorBack);
  Run("a header that announces too much ends the reading", NonsenseEndsTheReading);
  Run("Unix sockets connect and accept", UnixPathsConnect);
  Run("closing the engine closes every descriptor", ClosingLeavesNoDescriptor);
}
