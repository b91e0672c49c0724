// Has this group message been delivered already, by another way?
//
// A multicast or broadcast reaches us more than once where segments are joined by more than one
// pair of peers: over the segment itself, in forwards from several peers, and re-emitted by other
// gateways on our segment. Guests also repeat themselves: ten identical broadcasts in ten
// milliseconds are ten frames and must all arrive. The content alone cannot tell the two apart, the
// way can: a way carries each message once. So a slot keeps, for one message (its source and its
// octets), how many copies were delivered and how many came by each way:
//
//     a copy comes by way w:  count[w] += 1;  deliver it when count[w] > delivered
//
// that is, the (n+1)-th copy of one way is the (n+1)-th message; the first n copies of any other
// way are the same n messages again. What one way loses the other makes up for.
//
// One way does carry a message several times: our own segment, when several gateways re-emit there
// what was forwarded to them (wire.md §1: with the original source address). Such a copy is known
// by its source, which is not on our link. For it there is a plain window: within
// kReemissionWindowMs of a delivered copy it is a duplicate, whatever was counted.
//
// Counts start anew kWindowMs after the first copy, once nothing was delivered for
// kReemissionWindowMs (copies of one message by two ways must not fall on the two sides of the
// cut), and after two windows at the latest: a count that a way lost by loss is forgiven then.
//
// Why this bounds storms: a message that runs in a circle of segments comes back by some way for
// the first time after it was delivered, is a duplicate, and is neither delivered nor passed on.
//
// A fixed number of slots, in sets of kSlotsPerSet; a newcomer takes an expired slot of its set, or
// the one longest without a copy. A host that floods the cache can only make duplicates pass.
// Used by one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace vnetd {

// By which way a copy came.
class Way {
 public:
  // A forward from the configured peer with this index (below 65,534).
  [[nodiscard]] static constexpr Way peer(std::uint16_t index) { return Way(index); }
  // Our segment, from a host that is on it.
  [[nodiscard]] static constexpr Way segment() { return Way(kSegment); }
  // Our segment, from a host that is not on it: another gateway's re-emission.
  [[nodiscard]] static constexpr Way reemission() { return Way(kReemission); }

  friend bool operator==(const Way&, const Way&) = default;

  [[nodiscard]] constexpr std::uint16_t number() const { return number_; }

 private:
  static constexpr std::uint16_t kSegment = 0xFFFF;
  static constexpr std::uint16_t kReemission = 0xFFFE;

  constexpr explicit Way(std::uint16_t number) : number_(number) {}

  std::uint16_t number_;
};

class SeenCache {
 public:
  static constexpr std::size_t kSlotCount = 8'192;
  static constexpr std::uint64_t kWindowMs = 2'000;
  static constexpr std::uint64_t kReemissionWindowMs = 100;

  SeenCache();

  // Deliver (and pass on) this copy? `hash`: hashMessage() of the original source and the octets.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] bool admit(std::uint64_t hash, Way way, std::uint64_t nowMs);

 private:
  static constexpr std::size_t kSlotsPerSet = 4;
  static constexpr std::size_t kSetCount = kSlotCount / kSlotsPerSet;
  // Further ways of one message count as never first: their copies are duplicates.
  static constexpr std::size_t kWaysPerSlot = 7;

  struct WayCount {
    std::uint16_t way = 0;
    std::uint16_t count = 0;  // 0: free.
  };

  struct Slot {
    std::uint64_t hash = 0;
    std::uint64_t firstMs = 0;
    std::uint64_t lastDeliveredMs = 0;
    std::uint64_t lastCopyMs = 0;
    std::uint16_t delivered = 0;  // 0: free.
    std::array<WayCount, kWaysPerSlot> ways{};
  };
  using Set = std::array<Slot, kSlotsPerSet>;

  [[nodiscard]] static bool isExpired(const Slot& slot, std::uint64_t nowMs);
  [[nodiscard]] static std::uint16_t countCopy(Slot& slot, Way way);

  std::unique_ptr<std::array<Set, kSetCount>> sets_;
};

}  // namespace vnetd
