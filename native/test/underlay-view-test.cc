#include "path/underlay-view.h"

#include <array>

#include "test/check.h"

namespace vnetd {
namespace {

IpAddress ipv4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return IpAddress::fromIpv4(a << 24U | b << 16U | c << 8U | d);
}

IpAddress ipv6(unsigned subnet, unsigned host) {
  std::array<std::byte, kIpv6Bytes> octets{};
  octets[0] = std::byte{0xFD};
  octets[7] = static_cast<std::byte>(subnet);
  octets[15] = static_cast<std::byte>(host);
  return IpAddress::fromIpv6(octets);
}

TEST("a host is on the link when one of our prefixes holds its address") {
  UnderlayView view;
  view.localAddresses = {ipv4(10, 1, 2, 3), ipv4(192, 168, 77, 129), ipv6(1, 1)};
  view.localPrefixLengths = {24, 29, 64};
  struct Case {
    IpAddress address;
    bool onLink = false;
  };
  const std::array cases{
      Case{ipv4(10, 1, 2, 200), true},
      Case{ipv4(10, 1, 3, 3), false},
      Case{ipv4(192, 168, 77, 135), true},
      Case{ipv4(192, 168, 77, 136), false},
      Case{ipv4(192, 168, 77, 127), false},
      Case{ipv6(1, 99), true},
      Case{ipv6(2, 1), false},
      Case{ipv4(0, 0, 0, 0), false},
  };
  for (const Case& one : cases) {
    CHECK_EQ(view.isOnLink(one.address), one.onLink);
  }
}

TEST("a prefix of no bits holds every address of its family, one of all bits only itself") {
  UnderlayView view;
  view.localAddresses = {ipv4(10, 1, 2, 3)};
  view.localPrefixLengths = {0};
  CHECK(view.isOnLink(ipv4(8, 8, 8, 8)));
  CHECK(!view.isOnLink(ipv6(1, 1)));
  view.localPrefixLengths = {32};
  CHECK(view.isOnLink(ipv4(10, 1, 2, 3)));
  CHECK(!view.isOnLink(ipv4(10, 1, 2, 2)));
}

TEST("without prefixes every host counts as on the link") {
  UnderlayView view;
  view.localAddresses = {ipv4(10, 1, 2, 3)};
  CHECK(view.isOnLink(ipv4(8, 8, 8, 8)));
}

TEST("the largest frame leaves room for the outer headers of the family") {
  UnderlayView view;
  view.sender.mtuBytes = 1'500;
  CHECK_EQ(view.maxFrameBytes(kFamilyIpv4), 1'450U);
  CHECK_EQ(view.maxFrameBytes(kFamilyIpv6), 1'430U);
  CHECK_EQ(view.maxFloodFrameBytes(), 1'450U);
  view.peers.push_back({.host = Endpoint::from(ipv6(1, 9), 1'798)});
  CHECK_EQ(view.maxFloodFrameBytes(), 1'430U);
}

TEST("a peer is found by its address, whatever the port") {
  UnderlayView view;
  view.peers.push_back({.host = Endpoint::from(ipv4(10, 0, 0, 9), 7'000)});
  REQUIRE(view.peerAt(ipv4(10, 0, 0, 9)) != nullptr);
  CHECK_EQ(view.peerAt(ipv4(10, 0, 0, 9))->host.udpPort, 7'000);
  CHECK(view.peerAt(ipv4(10, 0, 0, 8)) == nullptr);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
