#include "path/underlay-view.h"

namespace vnetd {
namespace {

bool sharesPrefix(const IpAddress& left, const IpAddress& right, std::uint32_t bits) {
  if (left.family != right.family) {
    return false;
  }
  const std::size_t octets = left.family == kFamilyIpv4 ? kIpv4Bytes : kIpv6Bytes;
  const std::size_t whole = std::min<std::size_t>(bits / 8U, octets);
  if (!std::equal(left.octets.begin(), left.octets.begin() + static_cast<std::ptrdiff_t>(whole),
                  right.octets.begin())) {
    return false;
  }
  const std::uint32_t rest = bits % 8U;
  if (whole == octets || rest == 0) {
    return true;
  }
  const auto differing = std::to_integer<std::uint32_t>(left.octets.at(whole)) ^
                         std::to_integer<std::uint32_t>(right.octets.at(whole));
  return differing >> (8U - rest) == 0;
}

}  // namespace

bool UnderlayView::isOnLink(const IpAddress& address) const {
  if (localPrefixLengths.size() != localAddresses.size()) {
    return true;
  }
  for (std::size_t index = 0; index < localAddresses.size(); ++index) {
    if (sharesPrefix(address, localAddresses[index], localPrefixLengths[index])) {
      return true;
    }
  }
  return false;
}

std::uint8_t UnderlayView::floodFamily() const {
  const bool reachesIpv6 = !group6.isNone() || std::ranges::any_of(peers, [](const Peer& peer) {
    return peer.host.family == kFamilyIpv6;
  });
  return reachesIpv6 ? kFamilyIpv6 : kFamilyIpv4;
}

}  // namespace vnetd
