// The ways to load a server. Each run is one thread's work: it connects, waits at the gate until every
// thread has connected, loads for the given time and returns its tally. None waits without a deadline.

#pragma once

#include <functional>

#include "options.h"
#include "report.h"
#include "socket.h"

/** What a thread is given: its share of the connections, the rate and the visits. */
struct Share {
  const Options& options;
  Address address;
  int connections;
  double rate;
  uint64_t visits;  // 0: as many as the time allows
};

/** Called once with the number of connections made; returns when the load may start. */
using Gate = std::function<void(uint64_t connected)>;
/** Called before the connections are closed, so that an observer sees the server with them. */
using Hold = std::function<void(const Tally& tally)>;

Tally run_echo(const Share& share, const Gate& gate, const Hold& hold);   // modes closed and rate
Tally run_churn(const Share& share, const Gate& gate, const Hold& hold);  // connect, one echo, close
Tally run_fetch(const Share& share, const Gate& gate, const Hold& hold);  // small request, large reply
Tally run_idle(const Share& share, const Gate& gate, const Hold& hold);   // connect, one echo, hold
Tally run_udp(const Share& share, const Gate& gate, const Hold& hold);    // closed loop over UDP
