// core/descriptor: who closes a number, and that a reused number is not closed by mistake.
#include "core/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "tcp_pair.h"

using namespace reactor_net;

namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

void OwnsItsNumber() {
  int number = -1;
  {
    Descriptor owned(open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = owned.get();
    const Descriptor moved(std::move(owned));
    CHECK(IsOpen(number));
  }
  CHECK(!IsOpen(number));
}

void ReleasedNumberStaysOpen() {
  int number = -1;
  {
    Descriptor owned(open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = owned.Release();
  }
  CHECK(IsOpen(number));
  CHECK(!CloseDescriptor(number));
}

void DuplicateIsClosedOnExec() {
  const TcpPair pair = ConnectPair();
  Result<int> copy = DuplicateDescriptor(pair.client.get());
  CHECK(copy.ok());
  const Descriptor owned(copy.value());
  CHECK((fcntl(owned.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(SocketInode(owned.get()).value() == SocketInode(pair.client.get()).value());
}

void FreeNumberIsRefused() {
  Result<int> copy = DuplicateDescriptor(9999);
  CHECK(!copy.ok() && copy.failure().error == EBADF);
  const Failure failure = CloseDescriptor(9999);
  CHECK(failure.error == EBADF);
}

void OnlyTheSameSocketIsClosed() {
  TcpPair pair = ConnectPair();
  const ino_t server_inode = SocketInode(pair.server.get()).value();
  const int number = pair.client.Release();
  const ino_t inode = SocketInode(number).value();
  CHECK(!CloseSocketIf(number, server_inode).value());
  CHECK(IsOpen(number));
  CHECK(CloseSocketIf(number, inode).value());
  CHECK(!IsOpen(number));
  CHECK(!CloseSocketIf(number, inode).value());
}

void OtherFileIsNeverClosedAsASocket() {
  const Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(SocketInode(file.get()).failure().error == ENOTSOCK);
  CHECK(!CloseSocketIf(file.get(), 1).value());
  CHECK(IsOpen(file.get()));
}

}  // namespace

int main() {
  Run("a descriptor closes its number once, also after a move", OwnsItsNumber);
  Run("a released number stays open", ReleasedNumberStaysOpen);
  Run("a duplicate is the same socket and is closed on exec", DuplicateIsClosedOnExec);
  Run("a free number is refused with EBADF", FreeNumberIsRefused);
  Run("a number is closed only while it is the socket with that inode", OnlyTheSameSocketIsClosed);
  Run("a file is never closed in place of a socket", OtherFileIsNeverClosedAsASocket);
}
