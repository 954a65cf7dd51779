#include "jbus/crc32.h"

#include <array>
#include <cstring>

namespace reactor_net::jbus {
namespace {

using Table = std::array<uint32_t, 256>;

/** Slicing by 8: table k advances a byte past k further bytes. */
constexpr std::array<Table, 8> MakeTables() {
  std::array<Table, 8> tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; k++) {
    for (uint32_t byte = 0; byte < 256; byte++) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kTables = MakeTables();

}  // namespace

uint32_t Crc32(uint32_t crc, const uint8_t* from, size_t bytes) {
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, from += 8) {
    uint32_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, from, 4);
    std::memcpy(&high, from + 4, 4);
    low ^= crc;
    crc = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
          kTables[4][low >> 24] ^ kTables[3][high & 0xff] ^ kTables[2][(high >> 8) & 0xff] ^
          kTables[1][(high >> 16) & 0xff] ^ kTables[0][high >> 24];
  }
  for (; bytes > 0; bytes--) crc = (crc >> 8) ^ kTables[0][(crc ^ *from++) & 0xff];
  return ~crc;
}

}  // namespace reactor_net::jbus
