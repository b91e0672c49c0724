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
  CHECK_EQ(view.maxFrameBytes(Endpoint::from(ipv4(10, 0, 0, 9), 1'798)), 1'450U);
  CHECK_EQ(view.maxFrameBytes(Endpoint::from(ipv6(1, 9), 1'798)), 1'430U);
  CHECK_EQ(view.maxFloodFrameBytes(), 1'450U);
  view.peers.push_back({.host = Endpoint::from(ipv6(1, 9), 1'798)});
  CHECK_EQ(view.maxFloodFrameBytes(), 1'430U);
}

TEST("to a host behind a narrower path it is smaller, to the others and in floods it is not") {
  UnderlayView view;
  view.sender.mtuBytes = 1'500;
  const auto sizesTo = [&view](const IpAddress& host) {
    const Endpoint endpoint = Endpoint::from(host, 1'798);
    return std::array{view.maxFrameBytes(endpoint),
                      view.maxSealedFrameBytes(Suite::kAes128Gcm, endpoint)};
  };
  const auto wide4 = sizesTo(ipv4(10, 0, 0, 9));
  const auto wide6 = sizesTo(ipv6(1, 9));
  const std::size_t flood = view.maxFloodFrameBytes();
  const std::size_t sealedFlood = view.maxSealedFloodFrameBytes(Suite::kAes128Gcm);
  view.sender.paths = {{.host = ipv4(10, 0, 0, 8), .mtuBytes = 1'300},
                       {.host = ipv4(10, 0, 0, 9), .mtuBytes = 1'400},
                       {.host = ipv6(1, 9), .mtuBytes = 1'280}};
  CHECK(sizesTo(ipv4(10, 0, 0, 7)) == wide4);
  CHECK(sizesTo(ipv4(10, 0, 0, 10)) == wide4);
  CHECK_EQ(sizesTo(ipv4(10, 0, 0, 9))[0], wide4[0] - 100);
  CHECK_EQ(sizesTo(ipv4(10, 0, 0, 9))[1], wide4[1] - 100);
  CHECK_EQ(sizesTo(ipv4(10, 0, 0, 8))[0], wide4[0] - 200);
  CHECK_EQ(sizesTo(ipv6(1, 9))[0], wide6[0] - 220);
  CHECK_EQ(view.maxFloodFrameBytes(), flood);
  CHECK_EQ(view.maxSealedFloodFrameBytes(Suite::kAes128Gcm), sealedFlood);
  view.sender.mtuBytes = 1'350;
  CHECK_EQ(view.sender.mtuTo(ipv4(10, 0, 0, 9)), 1'350U);
  CHECK_EQ(view.sender.mtuTo(ipv4(10, 0, 0, 8)), 1'300U);
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
