#include "wire/vnet-id.h"

#include <algorithm>
#include <cstdio>

#include "wire/bytes.h"

namespace vnetd {

VnetId VnetId::fromBytes(std::span<const std::byte, kVnetIdBytes> bytes) {
  VnetId id;
  std::ranges::copy(bytes, id.octets.begin());
  return id;
}

bool VnetId::isZero() const { return *this == VnetId{}; }

std::string VnetId::toText() const {
  std::string text;
  for (std::size_t i = 0; i < kVnetIdBytes; i += 2) {
    std::array<char, 6> field{};
    const int written = std::snprintf(field.data(), field.size(), i == 0 ? "%04x" : ":%04x",
                                      loadU16(&octets.at(i)));
    text.append(field.data(), static_cast<std::size_t>(written));
  }
  return text;
}

}  // namespace vnetd
