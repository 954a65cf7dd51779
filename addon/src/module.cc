// Registers the addon in one environment; everything else lies in binding/ (Node) and core/ (system calls).
#include <dlfcn.h>
#include <napi.h>

#include "binding/addon_state.h"
#include "binding/address_functions.h"
#include "binding/datagrams.h"
#include "binding/doorbell.h"
#include "binding/errors.h"
#include "binding/local_stream_functions.h"
#include "binding/option_functions.h"
#include "binding/shm_functions.h"
#include "binding/shm_ring_reader.h"
#include "binding/shm_ring_writer.h"
#include "binding/socket_functions.h"
#include "binding/thread_functions.h"
#include "binding/transport.h"
#include "binding/waker.h"

namespace {

/**
 * Keeps this library mapped for good. Node unloads it with the last worker that used it, and a uv callback
 * that comes later would then run in unmapped memory.
 */
void PinLibrary() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&PinLibrary), &self) == 0) return;
  void* library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  if (library != nullptr) dlclose(library);  // the mark stays, the extra count is not needed
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  PinLibrary();
  if (reactor_net::AddonState::Install(env) == nullptr) return exports;
  exports.Set("useErrorClass", Napi::Function::New<reactor_net::UseErrorClass>(env, "useErrorClass"));
  reactor_net::ExportSocketFunctions(env, exports);
  reactor_net::ExportAddressFunctions(env, exports);
  reactor_net::ExportOptionFunctions(env, exports);
  reactor_net::ExportThreadFunctions(env, exports);
  reactor_net::ExportShmFunctions(env, exports);
  reactor_net::ExportLocalStreamFunctions(env, exports);
  reactor_net::Doorbell::Export(env, exports);
  reactor_net::ShmRingWriter::Export(env, exports);
  reactor_net::ShmRingReader::Export(env, exports);
  reactor_net::Transport::Export(env, exports);
  reactor_net::Datagrams::Export(env, exports);
  reactor_net::Waker::Export(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(reactor_net, Initialize)
