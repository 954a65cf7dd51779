// jbus/liveness: a process is known by pid and start time; zombies and strangers with an old pid are dead.
#include "jbus/liveness.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

using namespace reactor_net;
using namespace reactor_net::jbus;

namespace {

void NamesMayHoldAnything() {
  CHECK(ParseStartTime("7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20") == 4711);
  CHECK(ParseStartTime("7 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20") == 0);
  CHECK(ParseStartTime("") == 0 && ParseStartTime("7 (a") == 0 && ParseStartTime("7 (a)") == 0);
  CHECK(ParseStartTime("7 (a) S 1 2 3") == 0);
}

void APidAloneIsNotEnough() {
  const ProcessIdentity self = ThisProcess();
  CHECK(self.start_time != 0 && IsAlive(self));
  CHECK(IsAlive({self.pid, 0}));
  CHECK(!IsAlive({self.pid, self.start_time + 1}));
  CHECK(!IsAlive({0, 0}) && !IsAlive({0, self.start_time}));
}

void AZombieIsDead() {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    for (;;) pause();
  }
  const auto pid = static_cast<uint32_t>(child);
  const ProcessIdentity identity = {pid, StartTimeOf(pid)};
  CHECK(IsAlive(identity));
  kill(child, SIGKILL);
  siginfo_t information;
  CHECK(waitid(P_PID, pid, &information, WEXITED | WNOWAIT) == 0);  // ended, and not yet collected
  CHECK(!IsAlive(identity));
  waitpid(child, nullptr, 0);
  CHECK(!IsAlive(identity));
}

}  // namespace

int main() {
  Run("the start time is found behind any name", NamesMayHoldAnything);
  Run("a process with another start time is another process", APidAloneIsNotEnough);
  Run("a killed process is dead before its parent has collected it", AZombieIsDead);
}
