// Octets that nobody is to find in memory later: wiped when they are given back.
#pragma once

#include <string.h>  // explicit_bzero() is not in <cstring>.

#include <cstddef>
#include <memory>
#include <vector>

namespace vnetd {

// Of std::vector: what grows leaves no copy behind either.
template <class T>
struct WipingAllocator {
  using value_type = T;  // NOLINT(readability-identifier-naming): the standard's name.

  WipingAllocator() = default;
  template <class Other>
  // NOLINTNEXTLINE(google-explicit-constructor): the standard asks for the conversion.
  WipingAllocator(const WipingAllocator<Other>& /*other*/) {}

  [[nodiscard]] T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* octets, std::size_t count) {
    explicit_bzero(octets, count * sizeof(T));
    std::allocator<T>().deallocate(octets, count);
  }

  friend bool operator==(const WipingAllocator& /*left*/, const WipingAllocator& /*right*/) {
    return true;
  }
};

using Secret = std::vector<std::byte, WipingAllocator<std::byte>>;

}  // namespace vnetd
