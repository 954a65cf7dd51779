// Reads the option objects of Transport: its shared arrays, and framings.
#pragma once

#include <napi.h>

#include <vector>

#include "binding/arguments.h"
#include "transport/engine.h"

namespace reactor_net {

struct TransportOptions {
  EngineMemory memory = {};
  uint32_t* control = nullptr;
  size_t output_bytes_max = 0;
  Napi::Object async_resource;  // empty: the transport
  std::vector<Napi::Object> arrays;  // what the pointers point into
};

/** With an exception pending the result is not to be used. */
TransportOptions ReadTransportOptions(Napi::Env env, Arguments& arguments, Napi::Object options);

/** With an exception pending the result is not to be used. */
Framing ReadFramingOptions(Napi::Env env, Arguments& arguments, Napi::Object options);

}  // namespace reactor_net
