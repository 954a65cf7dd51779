// Turns what jbus/ tells of segments and rings into JavaScript objects; addon/shm-api.ts has their types.
#pragma once

#include <napi.h>

#include "jbus/ring_header.h"
#include "jbus/segment.h"

namespace reactor_net {

Napi::Object StatusToJs(Napi::Env env, const jbus::SegmentStatus& status);
Napi::Object HeaderToJs(Napi::Env env, const jbus::HeaderFacts& facts);
/** One side, and whether its process lives: asks /proc. */
Napi::Object SideToJs(Napi::Env env, const jbus::SideFacts& side);

}  // namespace reactor_net
