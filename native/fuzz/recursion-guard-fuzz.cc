// findTunnelAddresses on any octets: it agrees with parseFrame where that one understands a frame.
#include <vector>

#include "fuzz/fuzz-input.h"
#include "wire/etherip.h"
#include "wire/ethernet.h"
#include "wire/recursion-guard.h"

namespace vnetd {

namespace {

constexpr std::uint16_t kPort = 1798;

bool isTunnelByLayout(ByteSpan frame, const FrameLayout& layout) {
  if (layout.transport == TransportKind::kUdp) {
    return loadU16(&frame[layout.l4Offset + 2U]) == kPort;
  }
  return !layout.isFragment && layout.ipProtocol == kEtheripProtocol;
}

void checkFrame(ByteSpan frame) {
  const FrameLayout layout = parseFrame(frame);
  const auto found = findTunnelAddresses(frame, kPort);
  if (found) {
    fuzz::require(layout.tagCount <= 2 && layout.network != NetworkKind::kOther,
                  "tunnel traffic is in an IP packet");
    const ByteSpan addresses = ipAddresses(frame, layout);
    const bool isV4 = layout.network == NetworkKind::kIpv4;
    const IpAddress source = isV4 ? IpAddress::fromIpv4(addresses.first<kIpv4Bytes>())
                                  : IpAddress::fromIpv6(addresses.first<kIpv6Bytes>());
    const IpAddress destination = isV4 ? IpAddress::fromIpv4(addresses.last<kIpv4Bytes>())
                                       : IpAddress::fromIpv6(addresses.last<kIpv6Bytes>());
    fuzz::require(found->source == source && found->destination == destination,
                  "the addresses are those of the IP header");
  }
  // Extension headers are none of our datagrams'.
  const bool isPlain = layout.network == NetworkKind::kIpv4 || !layout.hasExtensions;
  if (isPlain && layout.network != NetworkKind::kOther && isTunnelByLayout(frame, layout)) {
    fuzz::require(found.has_value(), "what parseFrame sees as tunnel traffic is found");
  }
}

}  // namespace

}  // namespace vnetd

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::fuzz::FuzzInput input(data, size);
  const std::uint8_t choice = input.u8();
  const vnetd::ByteSpan rest = input.rest();
  std::vector<std::byte> frame(rest.begin(), rest.end());
  // An IP packet behind 0 … 2 tags, most of the time: chance alone rarely makes one.
  const std::size_t tagCount = choice % 3;
  const std::size_t at = 12 + 4 * tagCount;
  if (choice < 240 && frame.size() > at + 2) {
    for (std::size_t i = 0; i < tagCount; ++i) {
      vnetd::storeU16(&frame[12 + 4 * i], vnetd::kEtherTypeVlan);
    }
    const bool isV4 = choice % 2 == 0;
    vnetd::storeU16(&frame[at], isV4 ? vnetd::kEtherTypeIpv4 : vnetd::kEtherTypeIpv6);
    frame[at + 2] = (frame[at + 2] & std::byte{0x0F}) | (isV4 ? std::byte{0x40} : std::byte{0x60});
  }
  vnetd::checkFrame(frame);
  return 0;
}
