// transport/engine_file over real sockets: files keep their place in the output, their bounds and their descriptors.
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "engine_bench.h"
#include "transport/limits.h"

using namespace reactor_net;

namespace {

constexpr size_t kMiB = 1 << 20;

/** Bytes whose value tells their place. */
std::string Pattern(size_t count) {
  std::string text(count, '\0');
  for (size_t i = 0; i < count; i++) text[i] = static_cast<char>(i * 31 + i / 997);
  return text;
}

int FileOf(const std::string& content) {
  const int fd = memfd_create("reactor-net-test", MFD_CLOEXEC);
  CHECK(fd >= 0 && write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  return fd;
}

/** The number that the next descriptor will get. */
int NextDescriptor() {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  return fd;
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/** Reads `count` bytes while the engine is turned, which must bring nothing but progress. */
std::string ReceiveWhileTurning(Bench& bench, int peer, size_t count) {
  std::string text(count, '\0');
  for (size_t received = 0; received < count;) {
    const ssize_t got = recv(peer, text.data() + received, count - received, MSG_DONTWAIT);
    CHECK(got != 0);
    if (got > 0) received += static_cast<size_t>(got);
    for (const Event& event : bench.Turn()) CHECK(event.type == EventType::kDrained);
    CHECK(bench.Flush());
  }
  return text;
}

void FilesKeepTheirPlace() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  const std::string content = Pattern(3 * kMiB);
  const int first = FileOf(content);
  const int second = FileOf("second");
  const int nothing = FileOf("");
  bench.Write(slot, "head ");
  CHECK(bench.Flush());
  bench.engine().SendFile(slot, {first, 10, content.size() - 20});
  bench.Write(slot, " between ");
  CHECK(bench.Flush());
  bench.engine().SendFile(slot, {nothing, 0, 0});
  bench.engine().SendFile(slot, {second, 0, 6});
  bench.Write(slot, " tail");
  bench.engine().Shutdown(slot);
  CHECK(bench.Flush());
  CHECK(bench.Files(slot) == 3);
  CHECK(bench.PendingBytes(slot) == 14);  // of the bytes alone
  const std::string expected = "head " + content.substr(10, content.size() - 20) + " between second tail";
  CHECK(ReceiveWhileTurning(bench, peer.get(), expected.size()) == expected);
  CHECK(bench.Files(slot) == 0 && bench.FileBytes(slot) == content.size() - 20 + 6);
  CHECK(!IsOpen(first) && !IsOpen(second) && !IsOpen(nothing));
  char byte = 0;
  CHECK(recv(peer.get(), &byte, 1, 0) == 0);  // the FIN came after everything
  CHECK(bench.IsQuiet());
}

void ASmallFileLeavesAtOnce() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  const int file = FileOf("small");
  bench.engine().SendFile(slot, {file, 0, 5});
  CHECK(bench.Files(slot) == 0 && bench.FileBytes(slot) == 5 && !IsOpen(file));
  CHECK(ReceiveExactly(peer.get(), 5) == "small");
  CHECK(bench.IsQuiet());
}

/** Segments with data that the connection has sent. */
uint32_t SegmentsSent(Bench& bench, uint32_t slot) {
  tcp_info info = {};
  socklen_t bytes = sizeof info;
  CHECK(getsockopt(bench.engine().DescriptorOf(slot), IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0);
  return info.tcpi_data_segs_out;
}

void BytesAndAFileShareASegment() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  bench.Write(slot, "head ");
  CHECK(bench.FlushBefore(slot));
  CHECK(SegmentsSent(bench, slot) == 0);
  bench.engine().SendFile(slot, {FileOf("file"), 0, 4});
  CHECK(SegmentsSent(bench, slot) == 1);
  CHECK(ReceiveExactly(peer.get(), 9) == "head file");
  bench.Write(slot, "tail");
  CHECK(bench.Flush());  // nothing follows: it must not wait
  CHECK(SegmentsSent(bench, slot) == 2);
}

void AFileWaitsForTheConnection() {
  Bench bench;
  ListenOptions options;
  options.bind.host = "127.0.0.1";
  BoundSocket bound = std::move(ListenTcp(options).value());
  const uint32_t client = bench.engine().ConnectTcp("127.0.0.1", bound.port, 0).value();
  bench.engine().SendFile(client, {FileOf("early"), 0, 5});
  CHECK(bench.Files(client) == 1);
  const Descriptor peer(accept4(bound.descriptor.get(), nullptr, nullptr, SOCK_CLOEXEC));
  while (bench.Files(client) > 0) {
    bench.Await();
    CHECK(bench.Flush());
  }
  CHECK(ReceiveExactly(peer.get(), 5) == "early");
}

void OneTurnSendsABoundedPart() {
  Bench bench;
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  const Descriptor peer(ends[0]);
  const uint32_t slot = bench.engine().Add(ends[1], 0).value();
  bench.engine().BeginTurn();
  bench.engine().SendFile(slot, {FileOf(Pattern(4 * kMiB)), 0, 4 * kMiB});
  std::string buffer(kMiB, '\0');
  for (int round = 0; round < 50; round++) {
    while (recv(peer.get(), buffer.data(), buffer.size(), 0) > 0) continue;
    bench.Poll();
    CHECK(bench.Flush());
  }
  CHECK(bench.FileBytes(slot) == kFileTurnBytesMax);
  CHECK(!bench.Turn().empty() && bench.FileBytes(slot) > kFileTurnBytesMax);
}

void AShorterFileResetsTheConnection() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  const int file = FileOf(Pattern(8 * kMiB));
  bench.engine().SendFile(slot, {file, 0, 8 * kMiB});
  CHECK(bench.Files(slot) == 1);
  CHECK(ftruncate(file, kMiB) == 0);
  std::string buffer(kMiB, '\0');
  ssize_t got = 1;
  std::vector<Event> events;
  while (got > 0 || (got < 0 && errno == EAGAIN)) {
    got = recv(peer.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    for (const Event& event : bench.Turn()) {
      if (event.type != EventType::kDrained) events.push_back(event);
    }
    CHECK(bench.Flush());
  }
  CHECK(got < 0 && errno == ECONNRESET);
  CHECK(events.size() == 1 && events[0].type == EventType::kFileFailed && events[0].a == ENODATA);
  CHECK(!IsOpen(file) && bench.engine().DescriptorOf(slot) == -1);
}

void WhatCannotBeReadIsReported() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bench.engine().SendFile(slot, {directory, 0, 10});
  const std::vector<Event> events = bench.Await();
  CHECK(events.size() == 1 && events[0].type == EventType::kFileFailed && events[0].a == EINVAL);
  CHECK(!IsOpen(directory));
}

void ABrokenConnectionClosesItsFiles() {
  Bench bench;
  uint32_t slot = 0;
  const int peer = bench.Connect(0, &slot, false);
  const int file = FileOf(Pattern(8 * kMiB));
  const int next = FileOf("next");
  bench.engine().SendFile(slot, {file, 0, 8 * kMiB});
  bench.engine().SendFile(slot, {next, 0, 4});
  CHECK(close(peer) == 0);  // with unread bytes: a reset
  const std::vector<Event> events = bench.Await();
  CHECK(events.size() == 1 && events[0].type == EventType::kClosed);
  CHECK(!IsOpen(file) && !IsOpen(next));
}

void NoPathLeavesADescriptor() {
  const int before = NextDescriptor();
  {
    Bench bench;
    for (int way = 0; way < 4; way++) {
      uint32_t slot = 0;
      const Descriptor peer(bench.Connect(0, &slot));
      bench.engine().SendFile(slot, {FileOf(Pattern(8 * kMiB)), 0, 8 * kMiB});
      if (way == 0) bench.engine().Close(slot, false);
      if (way == 1) bench.engine().Close(slot, true);
      if (way == 2) close(bench.engine().Release(slot));
      CHECK(bench.Flush());
      if (way < 3) bench.engine().SendFile(slot, {FileOf("too late"), 0, 8});  // nobody has the slot
    }
    bench.engine().SendFile(4711, {FileOf("nobody"), 0, 6});
    bench.engine().CloseAll();
    bench.engine().SendFile(0, {FileOf("closed"), 0, 6});
  }
  CHECK(NextDescriptor() == before);
}

void NoFileFollowsTheFin() {
  Bench bench;
  uint32_t slot = 0;
  const Descriptor peer(bench.Connect(0, &slot));
  bench.engine().Shutdown(slot);
  CHECK(bench.Flush());
  const int file = FileOf("late");
  bench.engine().SendFile(slot, {file, 0, 4});
  CHECK(!IsOpen(file) && bench.Files(slot) == 0);
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  Run("files leave in order with the bytes around them, and the FIN follows", FilesKeepTheirPlace);
  Run("a file that the kernel takes leaves at once and is closed", ASmallFileLeavesAtOnce);
  Run("bytes and the file behind them share a segment", BytesAndAFileShareASegment);
  Run("a file waits for the connection to be made", AFileWaitsForTheConnection);
  Run("one connection sends a bounded part of a file per turn", OneTurnSendsABoundedPart);
  Run("a file that becomes shorter resets the connection", AShorterFileResetsTheConnection);
  Run("what cannot be read resets the connection", WhatCannotBeReadIsReported);
  Run("a connection that breaks closes the files that waited", ABrokenConnectionClosesItsFiles);
  Run("closed, reset, released or too late: no path leaves a descriptor", NoPathLeavesADescriptor);
  Run("a file after the FIN is closed, not sent", NoFileFollowsTheFin);
}
