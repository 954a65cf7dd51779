#include "jbus/liveness.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <string>

#include "core/descriptor.h"

namespace reactor_net::jbus {
namespace {

constexpr int kTokensBeforeStartTime = 19;  // of those behind the name

std::string_view NextToken(std::string_view* text) {
  const size_t begin = text->find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  text->remove_prefix(begin);
  const std::string_view token = text->substr(0, text->find(' '));
  text->remove_prefix(token.size());
  return token;
}

}  // namespace

ProcessIdentity ThisProcess() {
  const uint32_t pid = static_cast<uint32_t>(getpid());
  return {pid, StartTimeOf(pid)};
}

uint64_t StartTimeOf(uint32_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return 0;
  char text[1024];
  const ssize_t bytes = read(file.get(), text, sizeof text);
  return bytes <= 0 ? 0 : ParseStartTime({text, static_cast<size_t>(bytes)});
}

uint64_t ParseStartTime(std::string_view stat) {
  const size_t name_end = stat.rfind(')');  // the name may hold spaces and parentheses
  if (name_end == std::string_view::npos) return 0;
  stat.remove_prefix(name_end + 1);
  const std::string_view state = NextToken(&stat);
  if (state.empty() || state[0] == 'Z' || state[0] == 'X') return 0;
  for (int i = 1; i < kTokensBeforeStartTime; i++) NextToken(&stat);
  const std::string_view token = NextToken(&stat);
  uint64_t start_time = 0;
  std::from_chars(token.data(), token.data() + token.size(), start_time);
  return start_time;
}

bool IsAlive(const ProcessIdentity& process) {
  if (process.pid == 0) return false;
  const uint64_t found = StartTimeOf(process.pid);
  return found != 0 && (process.start_time == 0 || found == process.start_time);
}

uint64_t MonotonicMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace reactor_net::jbus
