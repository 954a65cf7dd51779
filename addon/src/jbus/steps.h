// The points of a write at which a crash test stops the writer, to be killed there.
// Only a build with JBUS_STOP_AT_STEP has them (npm run build:addon -- --stop-at-step); elsewhere they are nothing.
#pragma once

namespace reactor_net::jbus {

enum class WriteStep {
  kPadWritten = 1,
  kHeaderWritten = 2,
  kPayloadHalf = 3,
  kPayloadWritten = 4,
  kBeforePublish = 5,
  kPublished = 6,
  kWakeDecided = 7,
};

#ifdef JBUS_STOP_AT_STEP
/** Raises SIGSTOP when this is the step and the occurrence that the variable JBUS_STOP_AT_STEP=step:count names. */
void StopAtStep(WriteStep step);
#endif

}  // namespace reactor_net::jbus
