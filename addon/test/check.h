// The few words the C++ tests need: CHECK stops the program with file and line, Run names what is being shown.
// assert() will not do, since release builds drop it.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);      \
      std::exit(1);                                                                       \
    }                                                                                     \
  } while (false)

namespace reactor_net {

/** Prints the sentence once `body` returned, that is, once all its checks held. */
template <typename Body>
void Run(const char* sentence, Body body) {
  body();
  std::printf("ok - %s\n", sentence);
}

}  // namespace reactor_net
