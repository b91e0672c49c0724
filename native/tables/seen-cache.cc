#include "tables/seen-cache.h"

#include <algorithm>
#include <limits>

namespace vnetd {

namespace {

constexpr std::uint16_t kCountMax = std::numeric_limits<std::uint16_t>::max();

}  // namespace

SeenCache::SeenCache() : sets_(std::make_unique<std::array<Set, kSetCount>>()) {}

bool SeenCache::admit(std::uint64_t hash, Way way, std::uint64_t nowMs) {
  Set& set = (*sets_)[hash % kSetCount];
  auto* const known = std::ranges::find_if(set, [&](const Slot& slot) {
    return slot.delivered != 0 && slot.hash == hash && !isExpired(slot, nowMs);
  });
  if (known == set.end()) {
    auto* const slot = std::ranges::min_element(set, {}, [nowMs](const Slot& candidate) {
      return isExpired(candidate, nowMs) ? 0 : candidate.lastCopyMs;
    });
    *slot = {.hash = hash,
             .firstMs = nowMs,
             .lastDeliveredMs = nowMs,
             .lastCopyMs = nowMs,
             .delivered = 1};
    slot->ways.front() = {.way = way.number(), .count = 1};
    return true;
  }
  known->lastCopyMs = nowMs;
  const std::uint16_t copies = countCopy(*known, way);
  const bool isNew = way == Way::reemission()
                         ? nowMs - known->lastDeliveredMs >= kReemissionWindowMs
                         : copies > known->delivered;
  if (isNew) {
    known->lastDeliveredMs = nowMs;
    known->delivered = std::min<std::uint16_t>(known->delivered, kCountMax - 1) + 1;
  }
  return isNew;
}

bool SeenCache::isExpired(const Slot& slot, std::uint64_t nowMs) {
  const std::uint64_t ageMs = nowMs - slot.firstMs;
  return slot.delivered == 0 || ageMs >= 2 * kWindowMs ||
         (ageMs >= kWindowMs && nowMs - slot.lastDeliveredMs >= kReemissionWindowMs);
}

// How many copies have come by this way, this one included; 0 when there is no room to count.
std::uint16_t SeenCache::countCopy(Slot& slot, Way way) {
  for (WayCount& known : slot.ways) {
    if (known.count == 0) {
      known.way = way.number();
    }
    if (known.way == way.number()) {
      known.count = std::min<std::uint16_t>(known.count, kCountMax - 1) + 1;
      return known.count;
    }
  }
  return 0;
}

}  // namespace vnetd
