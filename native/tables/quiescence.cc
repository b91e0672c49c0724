#include "tables/quiescence.h"

#include <algorithm>

namespace vnetd {

bool Quiescence::hasPassed(std::uint64_t epoch) const {
  return std::ranges::all_of(slots_, [epoch](const Slot& slot) {
    return slot.epoch.load(std::memory_order_seq_cst) >= epoch;
  });
}

Reclaimer::~Reclaimer() {
  for (const Retired& retired : retired_) {
    retired.destroy(retired.object);
  }
}

void Reclaimer::retireErased(void* object, void (*destroy)(void*)) {
  retired_.push_back({.object = object, .destroy = destroy, .epoch = quiescence_.advance()});
}

std::size_t Reclaimer::reclaim() {
  std::erase_if(retired_, [this](const Retired& retired) {
    const bool isUnreachable = quiescence_.hasPassed(retired.epoch);
    if (isUnreachable) {
      retired.destroy(retired.object);
    }
    return isUnreachable;
  });
  return retired_.size();
}

}  // namespace vnetd
