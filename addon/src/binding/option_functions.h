// The JavaScript functions over core/socket_options and core/tcp_info.
#pragma once

#include <napi.h>

namespace reactor_net {

void ExportOptionFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
