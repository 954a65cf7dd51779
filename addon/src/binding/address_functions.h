// listenUnix, localAddress, remoteAddress and readAddress, as JavaScript calls them; module.cc exports them.
#pragma once

#include <napi.h>

namespace reactor_net {

void ExportAddressFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
