// CRC-32 of IEEE 802.3, the one of zlib in Python and Node; "123456789" gives 0xCBF43926.
// Used by ring_writer.h and ring_reader.h when a record has the CRC flag.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reactor_net::jbus {

/** Continues `crc`, which is 0 to begin with, over `bytes` more. */
uint32_t Crc32(uint32_t crc, const uint8_t* from, size_t bytes);

}  // namespace reactor_net::jbus
