#include "wire/recursion-guard.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "test/check.h"
#include "test/vector-table.h"
#include "wire/bytes.h"

namespace vnetd {
namespace {

using Octets = std::vector<std::byte>;

constexpr std::uint32_t kLocal = 0x0A4D0001;
constexpr std::uint32_t kPeer = 0x0A4D0002;
constexpr std::uint32_t kStranger = 0xC0A82C05;
constexpr std::uint32_t kGroup = 0xE00A0001;
constexpr std::uint16_t kPort = 1798;

struct Packet {
  std::uint32_t source = kPeer;
  std::uint32_t destination = kLocal;
  std::uint8_t protocol = 17;
  std::uint16_t udpPort = kPort;
  std::uint16_t fragment = 0;
  int tagCount = 0;
  std::uint8_t headerWords = 5;
};

void append(Octets& octets, const std::string& hex) {
  const Octets more = test::parseHex(hex);
  octets.insert(octets.end(), more.begin(), more.end());
}

Octets makeFrame(const Packet& packet) {
  Octets frame;
  append(frame, "020000000001020000000002");
  for (int i = 0; i < packet.tagCount; ++i) {
    append(frame, i == 0 ? "88a80005" : "81000006");
  }
  append(frame, "0800");
  const std::size_t at = frame.size();
  const std::size_t headerBytes = std::size_t{4} * packet.headerWords;
  frame.resize(at + headerBytes + 16);
  std::byte* const ip = &frame[at];
  storeU8(ip, static_cast<std::uint8_t>(0x40U | packet.headerWords));
  storeU16(ip + 6, packet.fragment);
  storeU8(ip + 9, packet.protocol);
  storeU32(ip + 12, packet.source);
  storeU32(ip + 16, packet.destination);
  storeU16(ip + headerBytes + 2, packet.udpPort);
  return frame;
}

bool isOurs(const Octets& frame) {
  const std::array<IpAddress, 2> local = {IpAddress::fromIpv4(0x7F000001),
                                          IpAddress::fromIpv4(kLocal)};
  const TunnelIdentity identity{.udpPort = kPort,
                                .group4 = IpAddress::fromIpv4(kGroup),
                                .group6 = {},
                                .localAddresses = local};
  return isOwnTunnelTraffic(frame, identity,
                            [](const IpAddress& ip) { return ip == IpAddress::fromIpv4(kPeer); });
}

TEST("tunnel traffic to and from this host, and of known hosts to the group, is ours") {
  const std::array packets = {
      Packet{},
      Packet{.source = kStranger},
      Packet{.source = kLocal, .destination = kStranger},
      Packet{.source = kPeer, .destination = kGroup},
      Packet{.protocol = 97, .udpPort = 0},
      Packet{.tagCount = 1},
      Packet{.tagCount = 2},
      Packet{.headerWords = 15},
      Packet{.fragment = 0x2000},
      Packet{.fragment = 0x4000},
  };
  for (const Packet& packet : packets) {
    CHECK(isOurs(makeFrame(packet)));
  }
}

TEST("a guest's own traffic is not") {
  const std::array packets = {
      Packet{.udpPort = 1799},
      Packet{.protocol = 6},
      Packet{.source = kStranger, .destination = kGroup},
      Packet{.source = kStranger, .destination = kStranger},
      Packet{.source = kPeer, .destination = kStranger},
      Packet{.fragment = 0x0005},
      Packet{.tagCount = 3},
      Packet{.headerWords = 4},
  };
  for (const Packet& packet : packets) {
    CHECK(!isOurs(makeFrame(packet)));
  }
}

TEST("IPv6 tunnel traffic is found, behind a first fragment's header too") {
  const std::string addresses =
      "20010db8000000000000000000000009"
      "fe800000000000000000000000000001";
  Octets frame;
  append(frame, "02000000000102000000000286dd6000000000081140" + addresses + "9c41070600080000");
  auto found = findTunnelAddresses(frame, kPort);
  REQUIRE(found.has_value());
  CHECK_EQ(found->source.toText(), "2001:db8::9");
  CHECK_EQ(found->destination.toText(), "fe80::1");
  CHECK(!findTunnelAddresses(frame, 1'799).has_value());
  Octets fragment;
  append(fragment, "02000000000102000000000286dd6000000000102c40" + addresses + "1100000112345678" +
                       "9c41070600080000");
  CHECK(findTunnelAddresses(fragment, kPort).has_value());
  fragment.at(14 + 40 + 3) = std::byte{0x09};
  CHECK(!findTunnelAddresses(fragment, kPort).has_value());
}

TEST("whatever is cut off is not read") {
  for (const int tagCount : {0, 1, 2}) {
    const Octets frame = makeFrame({.tagCount = tagCount});
    const std::size_t needed = 14U + 4U * static_cast<std::size_t>(tagCount) + 20U + 4U;
    for (std::size_t length = 0; length <= frame.size(); ++length) {
      const Octets cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
      CHECK_EQ(findTunnelAddresses(cut, kPort).has_value(), length >= needed);
    }
  }
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
