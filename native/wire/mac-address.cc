#include "wire/mac-address.h"

#include <algorithm>
#include <cstdio>

namespace vnetd {

MacAddress MacAddress::fromBytes(std::span<const std::byte, kMacAddressBytes> bytes) {
  MacAddress mac;
  std::ranges::copy(bytes, mac.octets.begin());
  return mac;
}

std::string MacAddress::toText() const {
  std::array<char, 3 * kMacAddressBytes> text{};
  const auto octet = [this](std::size_t i) { return std::to_integer<unsigned>(octets.at(i)); };
  const int written = std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x",
                                    octet(0), octet(1), octet(2), octet(3), octet(4), octet(5));
  return {text.data(), static_cast<std::size_t>(written)};
}

}  // namespace vnetd
