// core/local_stream, core/doorbell_socket and jbus/memory_file: bytes, bells and memory between two ends.
#include "core/local_stream.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "check.h"
#include "core/doorbell_socket.h"
#include "core/local_address.h"
#include "jbus/attachments.h"
#include "jbus/memory_file.h"

using namespace reactor_net;

namespace {

std::string TestName() { return std::string(1, '\0') + "reactor-net-test-" + std::to_string(getpid()); }

void RingsAddUpAndTheEndIsHeard() {
  auto pair = SocketPair();
  const int near = pair.value().first.get();
  CHECK(HearBell(near) == Heard::kNothing);
  for (int i = 0; i < 5000; i++) RingBell(pair.value().second.get());
  CHECK(HearBell(near) == Heard::kRung);
  CHECK(HearBell(near) == Heard::kNothing);
  RingBell(pair.value().second.get());
  CHECK(AwaitBell(near, 1000) == Heard::kRung);
  CHECK(AwaitBell(near, 0) == Heard::kNothing);
  close(pair.value().second.Release());
  CHECK(AwaitBell(near, 1000) == Heard::kGone);
  RingBell(near);  // nobody hears, nothing happens
}

void FullSocketIsRungAlready() {
  auto pair = SocketPair();
  const uint8_t bytes[4096] = {};
  while (send(pair.value().second.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
  RingBell(pair.value().second.get());
  CHECK(HearBell(pair.value().first.get()) == Heard::kRung);
  CHECK(HearBell(pair.value().first.get()) == Heard::kNothing);
}

void AbstractNamesConnect() {
  CHECK(ConnectUnix(TestName()).failure().error == ECONNREFUSED);
  Result<Descriptor> listener = ListenUnix(TestName(), 4);
  CHECK(listener.ok() && IsListening(listener.value().get()));
  CHECK(AcceptUnix(listener.value().get()).failure().error == EAGAIN);
  CHECK(ListenUnix(TestName(), 4).failure().error == EADDRINUSE);
  Result<Descriptor> caller = ConnectUnix(TestName());
  CHECK(caller.ok() && !IsListening(caller.value().get()));
  Result<Descriptor> accepted = AcceptUnix(listener.value().get());
  CHECK(UserBehind(accepted.value().get()).value() == geteuid());
  CHECK(UserBehind(caller.value().get()).value() == geteuid());
  RingBell(caller.value().get());
  CHECK(HearBell(accepted.value().get()) == Heard::kRung);
}

void MemoryFilesTravel() {
  auto pair = SocketPair();
  const int id = jbus::CreateMemoryFile(8192).value();
  auto mine = jbus::Attachment::Of(id);
  std::memcpy(mine.value()->base() + 100, "hello", 5);
  const int fd = jbus::DescriptorOfMemoryFile(id).value();
  const uint8_t bytes[] = {1, 2, 3};
  CHECK(ReceiveDescriptors(pair.value().second.get(), 64).failure().error == EAGAIN);
  CHECK(!SendDescriptors(pair.value().first.get(), bytes, sizeof bytes, {fd, fd}));
  auto received = ReceiveDescriptors(pair.value().second.get(), 64);
  CHECK(received.value().bytes.size() == 3 && received.value().bytes[2] == 3);
  CHECK(received.value().descriptors.size() == 2);
  CHECK((fcntl(received.value().descriptors[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  const int copy = jbus::AdoptMemoryFile(std::move(received.value().descriptors[0])).value();
  CHECK(copy != id);
  auto theirs = jbus::Attachment::Of(copy);
  CHECK(theirs.value()->bytes() == 8192 && theirs.value()->base() != mine.value()->base());
  CHECK(std::memcmp(theirs.value()->base() + 100, "hello", 5) == 0);
  CHECK(!jbus::CloseMemoryFile(copy) && !jbus::CloseMemoryFile(id));
  CHECK(jbus::CloseMemoryFile(id).error == EBADF);
  CHECK(std::memcmp(theirs.value()->base() + 100, "hello", 5) == 0);  // mappings outlive the id
  CHECK(jbus::Attachment::Of(-1000).failure().error == EBADF);
}

void FilesThatCouldShrinkAreRefused() {
  const int fd = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(jbus::AdoptMemoryFile(Descriptor(fd)).failure().error == EPERM);
  CHECK(fcntl(fd, F_GETFD) == -1);  // and are closed
  CHECK(ftruncate(jbus::DescriptorOfMemoryFile(jbus::CreateMemoryFile(4096).value()).value(), 0) != 0);
}

void NoMoreDescriptorsThanFit() {
  auto pair = SocketPair();
  const uint8_t byte = 0;
  const std::vector<int> many(kDescriptorsMost + 1, pair.value().first.get());
  CHECK(SendDescriptors(pair.value().first.get(), &byte, 1, many).error == EINVAL);
  CHECK(SendDescriptors(pair.value().first.get(), &byte, 0, {}).error == EINVAL);
}

}  // namespace

int main() {
  RingsAddUpAndTheEndIsHeard();
  FullSocketIsRungAlready();
  AbstractNamesConnect();
  MemoryFilesTravel();
  FilesThatCouldShrinkAreRefused();
  NoMoreDescriptorsThanFit();
  return 0;
}
