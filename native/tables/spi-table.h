// SPI -> the few SAs that have it. Flat, open addressing, keyed: members of a vnet choose SPIs.
//
// Owned and used by one thread. Grows when an SA is put in, which is no work of the frame loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "tables/keyed-hash.h"

namespace vnetd {

// `Sa` has a member `spi`, which does not change while it is in the table.
template <class Sa>
class SpiTable {
 public:
  // SAs of one SPI: so many times a datagram may have to be opened in vain.
  static constexpr std::size_t kSasPerSpi = 8;

  struct Candidates {
    std::array<Sa*, kSasPerSpi> sas{};
    std::size_t count = 0;

    [[nodiscard]] std::span<Sa* const> all() const { return std::span(sas).first(count); }
  };

  explicit SpiTable(const HashKey& key) : key_(key), slots_(kSlotsMin) {}

  [[nodiscard]] std::size_t size() const { return size_; }

  // All SAs with this SPI, oldest first as long as none of them was erased.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] Candidates find(std::uint32_t spi) const {
    Candidates found;
    for (std::size_t slot = homeOf(spi); slots_[slot] != nullptr; slot = next(slot)) {
      if (slots_[slot]->spi == spi) {
        found.sas[found.count++] = slots_[slot].get();
      }
    }
    return found;
  }

  // False: kSasPerSpi SAs have this SPI already.
  [[nodiscard]] bool insert(std::unique_ptr<Sa> sa) {
    if (find(sa->spi).count == kSasPerSpi) {
      return false;
    }
    if ((size_ + 1) * 2 > slots_.size()) {
      grow();
    }
    place(std::move(sa));
    ++size_;
    return true;
  }

  // Takes out what is `sa`; null when it is not there.
  [[nodiscard]] std::unique_ptr<Sa> erase(const Sa* sa) {
    std::size_t slot = homeOf(sa->spi);
    while (slots_[slot] != nullptr && slots_[slot].get() != sa) {
      slot = next(slot);
    }
    std::unique_ptr<Sa> erased = std::move(slots_[slot]);
    if (erased != nullptr) {
      --size_;
      closeGap(slot);
    }
    return erased;
  }

  // `visit(Sa&)`, in no order; it must not change the table.
  template <class Visit>
  void forEach(Visit&& visit) const {
    for (const std::unique_ptr<Sa>& sa : slots_) {
      if (sa != nullptr) {
        visit(*sa);
      }
    }
  }

 private:
  static constexpr std::size_t kSlotsMin = 64;

  [[nodiscard]] std::size_t homeOf(std::uint32_t spi) const {
    return hashBits(key_, spi) & (slots_.size() - 1);
  }
  [[nodiscard]] std::size_t next(std::size_t slot) const {
    return (slot + 1) & (slots_.size() - 1);
  }

  void place(std::unique_ptr<Sa> sa) {
    std::size_t slot = homeOf(sa->spi);
    while (slots_[slot] != nullptr) {
      slot = next(slot);
    }
    slots_[slot] = std::move(sa);
  }

  void grow() {
    std::vector<std::unique_ptr<Sa>> former = std::exchange(slots_, {});
    slots_.resize(former.size() * 2);
    for (std::unique_ptr<Sa>& sa : former) {
      if (sa != nullptr) {
        place(std::move(sa));
      }
    }
  }

  // What stands behind a gap must be reachable from its home without passing it.
  void closeGap(std::size_t gap) {
    for (std::size_t slot = next(gap); slots_[slot] != nullptr; slot = next(slot)) {
      const std::size_t home = homeOf(slots_[slot]->spi);
      const std::size_t mask = slots_.size() - 1;
      if (((slot - home) & mask) >= ((slot - gap) & mask)) {
        slots_[gap] = std::move(slots_[slot]);
        gap = slot;
      }
    }
  }

  HashKey key_;
  std::vector<std::unique_ptr<Sa>> slots_;
  std::size_t size_ = 0;
};

}  // namespace vnetd
