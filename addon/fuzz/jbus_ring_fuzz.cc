// libFuzzer target: any script of corruptions and calls; see addon/test/jbus_abuse.h.
#include "../test/jbus_abuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  reactor_net::jbus::AbuseRing(data, size);
  return 0;
}
