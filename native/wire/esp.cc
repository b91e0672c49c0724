#include "wire/esp.h"

#include "wire/bytes.h"

namespace vnetd {
namespace {

constexpr std::size_t kMessageBytesMin = 8;
constexpr std::byte kKeepaliveOctet{0xFF};
constexpr std::uint32_t kVnc1Magic = 0x564E4331;  // "VNC1"
constexpr std::uint32_t kFirstLegacyId = 1;
constexpr std::uint32_t kLastLegacyId = 3;

}  // namespace

DatagramKind classifyDatagram(std::span<const std::byte> payload) {
  if (payload.size() < kMessageBytesMin) {
    return payload.size() == 1 && payload[0] == kKeepaliveOctet ? DatagramKind::kKeepalive
                                                                : DatagramKind::kShort;
  }
  const std::uint32_t word = loadU32(payload.data());
  if (word == 0) {
    return loadU32(&payload[4]) == kVnc1Magic ? DatagramKind::kVnc1 : DatagramKind::kUnknown;
  }
  const std::uint32_t id = word >> 16U;
  if (id >= kFirstLegacyId && id <= kLastLegacyId) {
    return DatagramKind::kLegacy;
  }
  if (word >= kFirstGroupSpi && word <= kLastGroupSpi) {
    return DatagramKind::kGroupEsp;
  }
  return word >= kFirstPairSpi && word <= kLastPairSpi ? DatagramKind::kPairwiseEsp
                                                       : DatagramKind::kUnknown;
}

EspHeader decodeEspHeader(std::span<const std::byte> payload) {
  return {.spi = loadU32(payload.data()), .sequence = loadU32(&payload[4])};
}

}  // namespace vnetd
