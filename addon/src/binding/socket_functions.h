// The JavaScript functions over core/socket, core/descriptor and core/event_fd.
#pragma once

#include <napi.h>

namespace reactor_net {

void ExportSocketFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
