// The JavaScript functions over jbus/segment, jbus/attachments and jbus/liveness, and the view of a segment.
#pragma once

#include <napi.h>

namespace reactor_net {

void ExportShmFunctions(Napi::Env env, Napi::Object exports);

}  // namespace reactor_net
