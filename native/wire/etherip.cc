#include "wire/etherip.h"

#include <algorithm>

#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

namespace {

constexpr std::size_t kVnetAt = 2;
constexpr unsigned kVersion = 4;

bool hasVersion(std::byte octet) { return std::to_integer<unsigned>(octet) >> 4U == kVersion; }

}  // namespace

EtheripOutcome decodeEtherip(std::span<const std::byte> payload) {
  if (payload.size() < kEtheripHeaderBytes) {
    return DropMessage{Counter::kDropShort};
  }
  if (!hasVersion(payload[0]) && !hasVersion(payload[1])) {
    return DropMessage{Counter::kDropEtheripVersion};
  }
  const auto frame = payload.subspan(kEtheripHeaderBytes);
  if (frame.size() < kEthernetHeaderBytes) {
    return DropMessage{Counter::kDropRuntFrame};
  }
  return FrameMessage{.vnetId = VnetId::fromBytes(payload.subspan<kVnetAt, kVnetIdBytes>()),
                      .frame = frame};
}

void encodeEtheripHeader(std::span<std::byte, kEtheripHeaderBytes> out, const VnetId& vnetId) {
  out[0] = std::byte{0};
  out[1] = std::byte{kVersion << 4U};
  std::ranges::copy(vnetId.octets, out.subspan<kVnetAt>().begin());
}

}  // namespace vnetd
