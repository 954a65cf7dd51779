#include "jbus/steps.h"

#ifdef JBUS_STOP_AT_STEP

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace reactor_net::jbus {
namespace {

struct StopPoint {
  int step = 0;  // 0: nowhere
  int passes_left = 0;
};

StopPoint ReadStopPoint() {
  StopPoint point;
  const char* text = std::getenv("JBUS_STOP_AT_STEP");
  if (text == nullptr || std::sscanf(text, "%d:%d", &point.step, &point.passes_left) != 2) point.step = 0;
  return point;
}

}  // namespace

void StopAtStep(WriteStep step) {
  static StopPoint point = ReadStopPoint();  // one writer per test process
  if (static_cast<int>(step) == point.step && --point.passes_left == 0) std::raise(SIGSTOP);
}

}  // namespace reactor_net::jbus

#endif
