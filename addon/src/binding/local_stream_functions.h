// Exports Unix stream sockets between processes, and descriptors that travel over them.
#pragma once

#include <napi.h>

namespace reactor_net {

void ExportLocalStreamFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
