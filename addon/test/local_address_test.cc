// core/local_address: Unix listeners, by path and abstract, and where any socket says it is bound.
#include "core/local_address.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "check.h"
#include "tcp_pair.h"

using namespace reactor_net;

namespace {

/** A folder of its own, removed with the one socket file that may be in it. */
class TemporaryFolder {
 public:
  TemporaryFolder() { CHECK(mkdtemp(name_) != nullptr); }
  ~TemporaryFolder() {
    unlink(SocketPath().c_str());
    rmdir(name_);
  }
  std::string SocketPath() const { return std::string(name_) + "/socket"; }

 private:
  char name_[32] = "/tmp/reactor-net-XXXXXX";
};

void PathReadsBack() {
  const TemporaryFolder folder;
  const std::string path = folder.SocketPath();
  Result<Descriptor> listener = ListenUnix(path, 16);
  CHECK(listener.ok());
  const LocalAddress address = LocalAddressOf(listener.value().get()).value();
  CHECK(address.is_unix && address.path == path);
  CHECK(ListenUnix(path, 16).failure().error == EADDRINUSE);
}

void AbstractNameReadsBack() {
  const std::string name = std::string(1, '\0') + "reactor-net-test-" + std::to_string(getpid());
  Result<Descriptor> listener = ListenUnix(name, 16);
  CHECK(listener.ok());
  CHECK(LocalAddressOf(listener.value().get()).value().path == name);
}

void PathsHaveABound() {
  CHECK(!IsUnixPath("") && !IsUnixPath(std::string(1, '\0')) && !IsUnixPath(std::string("a\0b", 3)));
  CHECK(IsUnixPath(std::string(107, 'x')) && !IsUnixPath(std::string(108, 'x')));
  CHECK(ListenUnix(std::string(108, 'x'), 16).failure().error == EINVAL);
}

void UnnamedSocketHasNoPath() {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Descriptor left(ends[0]);
  const Descriptor right(ends[1]);
  const LocalAddress address = LocalAddressOf(left.get()).value();
  CHECK(address.is_unix && address.path.empty());
}

void TcpHasHostAndPort() {
  ListenOptions options;
  options.bind.host = "127.0.0.1";
  Result<BoundSocket> listener = ListenTcp(options);
  const LocalAddress address = LocalAddressOf(listener.value().descriptor.get()).value();
  CHECK(!address.is_unix && address.host == "127.0.0.1" && address.port == listener.value().port);
}

void OtherFilesAreTold() {
  const Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(LocalAddressOf(file.get()).failure().error == ENOTSOCK);
  CHECK(LocalAddressOf(9999).failure().error == EBADF);
}

}  // namespace

int main() {
  Run("a Unix listener reads back its path, and the path is taken", PathReadsBack);
  Run("an abstract name reads back with its leading NUL", AbstractNameReadsBack);
  Run("a path of 107 bytes fits and one of 108 does not", PathsHaveABound);
  Run("an unnamed socket has an empty path", UnnamedSocketHasNoPath);
  Run("a TCP socket has host and port", TcpHasHostAndPort);
  Run("a file has no address", OtherFilesAreTold);
}
