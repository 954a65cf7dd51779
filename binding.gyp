# Builds the addon for users: npm runs addon/install.js, which runs node-gyp on this file.
# The list of sources is addon/sources.txt, shared with CMakeLists.txt (sanitizer builds and C++ tests).
{
  "targets": [
    {
      "target_name": "reactor_net",
      "sources": ["<!@(node -p \"require('node:fs').readFileSync('addon/sources.txt', 'utf8')\")"],
      "include_dirs": ["addon/src", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-fvisibility=hidden"]
    }
  ]
}
