// The socket calls of a doorbell: a byte says "look", any number of them are one ring, the end of file says "gone".
// binding/doorbell_poll.cc has the loop call Hear; the C++ tests call it over a pair.
#pragma once

namespace reactor_net {

enum class Heard {
  kRung = 0,
  kGone = 1,    // the other end is closed: its process closed it, or died
  kCaller = 2,  // a listening socket: somebody wants to connect
  kNothing = 3,
};

/** Takes all bytes off a connected socket, without waiting. */
Heard HearBell(int fd);

/** Waits up to `timeout_ms` for a ring, and takes it. */
Heard AwaitBell(int fd, int timeout_ms);

/** Never waits. A full socket is rung already; a peer that has gone is told by HearBell. */
void RingBell(int fd);

/** Whether this is a listening socket. */
bool IsListening(int fd);

}  // namespace reactor_net
