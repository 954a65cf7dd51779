// The JavaScript functions over core/socket, core/descriptor and core/event_fd.
#pragma once

#include <napi.h>

#include "core/descriptor.h"

namespace reactor_net {

/** The number as JavaScript's, who closes it from now on. */
Napi::Value HandOver(Napi::Env env, Descriptor& descriptor);

void ExportSocketFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
