#include "wire/endpoint.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>

#include "wire/bytes.h"

namespace vnetd {

static_assert(kFamilyIpv4 == AF_INET && kFamilyIpv6 == AF_INET6);

namespace {

constexpr std::size_t kMappedPrefixBytes = 12;

bool isMapped(std::span<const std::byte, kIpv6Bytes> bytes) {
  return loadU64(bytes.data()) == 0 && loadU32(&bytes[8]) == 0xFFFFU;
}

}  // namespace

IpAddress IpAddress::fromIpv4(std::span<const std::byte, kIpv4Bytes> bytes) {
  IpAddress address{.family = kFamilyIpv4};
  std::ranges::copy(bytes, address.octets.begin());
  return address;
}

IpAddress IpAddress::fromIpv4(std::uint32_t hostOrder) {
  IpAddress address{.family = kFamilyIpv4};
  storeU32(address.octets.data(), hostOrder);
  return address;
}

IpAddress IpAddress::fromIpv6(std::span<const std::byte, kIpv6Bytes> bytes) {
  if (isMapped(bytes)) {
    return fromIpv4(bytes.last<kIpv6Bytes - kMappedPrefixBytes>());
  }
  IpAddress address{.family = kFamilyIpv6};
  std::ranges::copy(bytes, address.octets.begin());
  return address;
}

bool IpAddress::isUnspecified() const { return octets == std::array<std::byte, kIpv6Bytes>{}; }

bool IpAddress::isMulticast() const {
  const auto first = loadU8(octets.data());
  return family == kFamilyIpv4 ? first >> 4U == 0xEU : family == kFamilyIpv6 && first == 0xFFU;
}

bool IpAddress::isHost() const {
  if (isNone() || isUnspecified() || isMulticast()) {
    return false;
  }
  if (family == kFamilyIpv6) {
    const bool isLoopback = loadU64(octets.data()) == 0 && loadU64(&octets[8]) == 1;
    return !isLoopback;
  }
  const std::uint32_t address = loadU32(octets.data());
  const std::uint32_t network = address >> 24U;
  return network != 0 && network != 127 && address != 0xFFFFFFFFU;
}

std::string IpAddress::toText() const {
  if (isNone()) {
    return "none";
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(family, octets.data(), text.data(), text.size()) == nullptr) {
    return "unknown family";
  }
  return text.data();
}

std::string Endpoint::toText() const {
  if (isNone()) {
    return "none";
  }
  const std::string host = ip().toText();
  const std::string port = std::to_string(udpPort);
  return family == kFamilyIpv6 ? "[" + host + "]:" + port : host + ":" + port;
}

}  // namespace vnetd
