// What both workers share: constants, sockets, and the places where they leave word.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "host/underlay-sockets.h"
#include "path/mailbox.h"
#include "path/offload-state.h"
#include "path/vnet.h"
#include "tables/counters.h"
#include "tables/quiescence.h"
#include "wire/mac-address.h"

namespace vnetd {

struct Ages {
  std::uint32_t fdbTtlMs = 60'000;
  std::uint32_t vifTtlMs = 60'000;
  std::uint32_t refreshAfterMs = 25'000;
};

// How many slots of a MAC table a worker looks at each second: all of a usual one, a quarter of a
// large one, so that an entry dies within 4 s of its time and no frame waits for long.
constexpr std::size_t sweepBudget(std::size_t slotCount) {
  constexpr std::size_t kWhole = 4'096;
  return slotCount <= kWhole ? slotCount : slotCount / 4 + 1;
}

// "This MAC is yours no more", from one worker to the other: a bounded queue with one writer and
// one reader. What finds it full is left to ageing.
class HandoverRing {
 public:
  struct Item {
    Vnet* vnet = nullptr;
    MacAddress mac;
  };

  // HOT PATH: no allocation, no throw.
  bool push(const Item& item) {
    const std::uint64_t written = written_.load(std::memory_order_relaxed);
    if (written - read_.load(std::memory_order_acquire) == kItems) {
      return false;
    }
    items_[written % kItems] = item;
    written_.store(written + 1, std::memory_order_release);
    return true;
  }

  // HOT PATH: no allocation, no throw.
  bool pop(Item& item) {
    const std::uint64_t read = read_.load(std::memory_order_relaxed);
    if (read == written_.load(std::memory_order_acquire)) {
      return false;
    }
    item = items_[read % kItems];
    read_.store(read + 1, std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::size_t kItems = 1024;

  std::array<Item, kItems> items_{};
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> written_{0};
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> read_{0};
};

struct WorkerContext {
  UnderlaySockets sockets;
  OffloadState offloads;
  Quiescence quiescence;
  // What cannot be put down to one vnet.
  CounterSet processCounters;
  // The doors of the two workers; who hands something over rings.
  Mailbox outboundMailbox;
  Mailbox inboundMailbox;
  // Local MACs that the inbound thread heard from another host.
  HandoverRing vifsMovedAway;
  // Remote MACs that the outbound thread heard from a local TAP.
  HandoverRing fdbMovedHere;
  // A worker has left word in a Vnet (growth, a lost TAP): the control thread looks through all.
  std::atomic<bool> vnetsNeedCare{false};
};

}  // namespace vnetd
