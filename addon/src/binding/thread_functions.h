// The JavaScript functions over core/thread_info.
#pragma once

#include <napi.h>

namespace reactor_net {

void ExportThreadFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
