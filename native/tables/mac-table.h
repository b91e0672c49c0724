// The MAC addresses of one vnet: with the host each is on (fdb), or local ones with no value
// (vifs).
//
// One thread writes. Any number of others read at the same time without locks or waiting: readers
// are workers (see tables/quiescence.h) or the control thread.
//
// Memory is a block of buckets, eight slots each. A MAC has two buckets, picked by a keyed hash,
// and is in one of their 16 slots or nowhere: every look-up, insertion and eviction is bounded. The
// keys of a bucket are one cache line, the entries stand apart, one line each.
//
//     keys     [ 8 words ][ 8 words ] …      word: 0 free, or the MAC's 48 bits with the top bit
//     set entries  [ 64 octets ] × 8 …           sequence, value, times, flags
//
// A reader sees an entry whole or not at all: the writer makes `sequence` odd, writes key and
// value, makes it even; a reader whose two looks at `sequence` differ, or are odd, looks again, a
// few times, and then calls the MAC unknown (its frame is flooded, no harm). Everything is a
// std::atomic with acquire and release, no fences, so ThreadSanitizer can follow it.
//
// Growth: the writer asks, the control thread allocates (maintain()), the writer moves in
// (adoptGrowth()) and the control thread frees the old block when no reader can hold it.
//
// Limit: at the vnet's limit, or when both buckets are full, the entry heard longest ago among a
// bounded number of candidates makes room; a pinned one never does.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

#include "tables/counters.h"
#include "tables/keyed-hash.h"
#include "tables/quiescence.h"
#include "wire/mac-address.h"

namespace vnetd {

// The value of a table that only knows which MACs there are.
struct NoValue {
  friend bool operator==(const NoValue&, const NoValue&) = default;
};

enum class LearnOutcome : std::uint8_t {
  kKnown,    // It was there with this value; it is younger now.
  kNew,      // It was not there.
  kMoved,    // It had another value (`previous`).
  kPinned,   // It is pinned with another value: nothing changed.
  kRefused,  // No room that may be made: nothing changed.
};

template <class Value>
struct LearnResult {
  LearnOutcome outcome = LearnOutcome::kKnown;
  // The table has just begun to want growth: wake the control thread, it calls maintain().
  bool growthWanted = false;
  Value previous{};
  // What had to make room.
  std::optional<MacAddress> evicted = std::nullopt;
};

template <class Value>
struct MacEntry {
  MacAddress mac;
  Value value{};
  bool pinned = false;
  // Both to kTouchMs; 0: never used.
  std::uint64_t lastHeardMs = 0;
  std::uint64_t lastUsedMs = 0;
  // For the writer's visitor: when it last told somebody about this entry; kept as it leaves it.
  std::uint64_t noticeMs = 0;
};

enum class SweepVerdict : std::uint8_t { kKeep, kErase };

template <class Value>
class MacTable {
  static_assert(std::is_trivially_copyable_v<Value>);
  static_assert(sizeof(Value) <= 24, "an entry is one cache line");

 public:
  // Times of an entry are written again when they are this old, so that two threads do not fight
  // for its cache line with every frame.
  static constexpr std::uint64_t kTouchMs = 100;
  static constexpr std::size_t kSlotsMin = 64;
  static constexpr std::uint32_t kLimitMax = 1U << 24U;

  struct Found {
    Value value{};
    bool pinned = false;
  };

  // `limit`: MACs at most, at least 1. Allocates the first, small block.
  MacTable(const HashKey& key, std::uint32_t limit);
  MacTable(const MacTable&) = delete;
  MacTable& operator=(const MacTable&) = delete;
  MacTable(MacTable&&) = delete;
  MacTable& operator=(MacTable&&) = delete;
  // Every other thread has let go of the table (Reclaimer).
  ~MacTable();

  // ---- any worker, and the control thread ----------------------------------------------
  // HOT PATH: no allocation, no throw, no lock.
  [[nodiscard]] std::optional<Found> find(const MacAddress& mac) const;
  // The same, and notes that the entry is in use.
  [[nodiscard]] std::optional<Found> findAndUse(const MacAddress& mac, std::uint64_t nowMs) const;

  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t slotCount() const {
    return block_.load(std::memory_order_seq_cst)->slotCount();
  }

  // ---- the writer ----------------------------------------------------------------------
  // A frame with this source was heard. HOT PATH: no allocation, no throw, no lock.
  LearnResult<Value> learn(const MacAddress& mac, const Value& value, std::uint64_t nowMs);
  // vnetd says so: pinned entries change too. Never kPinned.
  LearnResult<Value> set(const MacAddress& mac, const Value& value, bool pinned,
                         std::uint64_t nowMs);
  // Was it there?
  bool erase(const MacAddress& mac);
  void clear();
  // A lower limit is reached by ageing, not at once.
  void setLimit(std::uint32_t limit);

  // Looks at the next `slotBudget` slots and shows each entry to
  // `visit(MacEntry<Value>&) -> SweepVerdict`; pinned ones too. To see every entry within S seconds
  // call it n times a second with slotCount() / (n * S) + 1.
  template <class Visit>
  void sweep(std::size_t slotBudget, Visit&& visit);

  // Moves into the larger block that maintain() has made, if there is one. Once a round, outside
  // of the frame loop: takes about 30 ns an entry.
  void adoptGrowth();

  // ---- the control thread --------------------------------------------------------------
  // Makes the larger block that the writer wants and retires the one it left. Each tick, and when
  // a LearnResult said so.
  void maintain(Reclaimer& reclaimer);

  // `visit(const MacEntry<Value>&)`; entries that change meanwhile may be left out or shown once
  // with either value. The caller is the thread that calls maintain().
  template <class Visit>
  void forEach(Visit&& visit) const;

 private:
  static constexpr std::size_t kSlotsPerBucket = 8;
  static constexpr std::size_t kCandidates = 2 * kSlotsPerBucket;
  static constexpr std::size_t kVictimProbes = 64;
  static constexpr std::size_t kGrowthFactor = 4;
  static constexpr int kReadAttempts = 64;
  static constexpr std::size_t kValueWords = (sizeof(Value) + 7) / 8;
  static constexpr std::uint64_t kOccupied = std::uint64_t{1} << 63U;
  static constexpr std::size_t kNoSlot = std::numeric_limits<std::size_t>::max();

  using ValueWords = std::array<std::uint64_t, kValueWords>;

  struct alignas(kCacheLineBytes) Bucket {
    std::array<std::atomic<std::uint64_t>, kSlotsPerBucket> keys{};
  };

  struct alignas(kCacheLineBytes) Entry {
    std::atomic<std::uint32_t> sequence{0};
    std::atomic<bool> pinned{false};
    std::array<std::atomic<std::uint64_t>, kValueWords> value{};
    std::atomic<std::uint64_t> lastHeardMs{0};
    // Written by readers; the only thing they write.
    std::atomic<std::uint64_t> lastUsedMs{0};
    std::atomic<std::uint64_t> noticeMs{0};
  };

  struct Block {
    // Their number is known at run time only, and atomics cannot be moved: neither std::array nor
    // std::vector can hold them.
    // NOLINTBEGIN(*-avoid-c-arrays)
    explicit Block(std::size_t slots)
        : bucketMask(slots / kSlotsPerBucket - 1),
          buckets(std::make_unique<Bucket[]>(slots / kSlotsPerBucket)),
          entries(std::make_unique<Entry[]>(slots)) {}
    // NOLINTEND(*-avoid-c-arrays)

    [[nodiscard]] std::size_t slotCount() const { return (bucketMask + 1) * kSlotsPerBucket; }
    [[nodiscard]] std::atomic<std::uint64_t>& key(std::size_t slot) const {
      return buckets[slot / kSlotsPerBucket].keys[slot % kSlotsPerBucket];
    }
    [[nodiscard]] Entry& entry(std::size_t slot) const { return entries[slot]; }

    std::size_t bucketMask;
    std::unique_ptr<Bucket[]> buckets;  // NOLINT(*-avoid-c-arrays)
    std::unique_ptr<Entry[]> entries;   // NOLINT(*-avoid-c-arrays)
  };

  // The first slots of a MAC's two buckets.
  using Home = std::array<std::size_t, 2>;

  [[nodiscard]] static std::uint64_t keyOf(const MacAddress& mac) {
    return mac.toBits() | kOccupied;
  }
  [[nodiscard]] Home homeOf(const Block& block, std::uint64_t key) const {
    const std::uint64_t hash = hashBits(hashKey_, key);
    const std::size_t first = hash & block.bucketMask;
    const std::size_t second = hash >> 32U & block.bucketMask;
    return {first * kSlotsPerBucket, (second == first ? second ^ 1U : second) * kSlotsPerBucket};
  }
  [[nodiscard]] static Value loadValue(const Entry& entry);
  static void storeValue(Entry& entry, const Value& value);

  // The slot that holds `key`, kNoSlot if none does.
  [[nodiscard]] std::size_t slotOf(const Block& block, std::uint64_t key) const;
  // A free slot in the emptier of the two buckets, kNoSlot if both are full.
  [[nodiscard]] static std::size_t freeSlot(const Block& block, const Home& home);
  // The unpinned entry of the two buckets that was heard longest ago, kNoSlot if all are pinned.
  [[nodiscard]] static std::size_t oldestAtHome(const Block& block, const Home& home);
  // The same among the next kVictimProbes slots of the whole table.
  [[nodiscard]] std::size_t oldestNearby(const Block& block);
  static void preferOlder(const Block& block, std::size_t slot, std::size_t& oldest);

  [[nodiscard]] static std::optional<Found> readSlot(const Block& block, std::size_t slot,
                                                     std::uint64_t key);

  // At the limit the table is at most half full.
  [[nodiscard]] std::size_t slotsMax() const {
    return std::bit_ceil(
        std::max<std::size_t>(kSlotsMin, std::size_t{2} * limit_.load(std::memory_order_relaxed)));
  }

  LearnResult<Value> insert(std::uint64_t key, const Value& value, bool pinned,
                            std::uint64_t nowMs);
  [[nodiscard]] bool wantGrowth(const Block& block);
  static void writeEntry(const Block& block, std::size_t slot, std::uint64_t key,
                         const Value& value);
  void eraseSlot(const Block& block, std::size_t slot);
  [[nodiscard]] std::size_t copyInto(const Block& from, const Block& to, bool pinned) const;

  HashKey hashKey_;
  std::atomic<std::uint32_t> limit_;
  std::atomic<std::size_t> size_{0};
  std::size_t sweepSlot_ = 0;
  std::size_t victimSlot_ = 0;

  std::atomic<Block*> block_;
  // What the writer asks the control thread for.
  std::atomic<bool> growthWanted_{false};
  // From the control thread to the writer, and back.
  std::atomic<Block*> offered_{nullptr};
  std::atomic<Block*> retired_{nullptr};
};

// ---- readers ----------------------------------------------------------------------------

template <class Value>
std::optional<typename MacTable<Value>::Found> MacTable<Value>::readSlot(const Block& block,
                                                                         std::size_t slot,
                                                                         std::uint64_t key) {
  const Entry& entry = block.entry(slot);
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    const std::uint32_t before = entry.sequence.load(std::memory_order_acquire);
    if (before % 2 != 0) {
      continue;
    }
    if (block.key(slot).load(std::memory_order_acquire) != key) {
      return std::nullopt;
    }
    // The acquire loads keep the second look at `sequence` behind them.
    Found found{.value = loadValue(entry), .pinned = entry.pinned.load(std::memory_order_acquire)};
    if (entry.sequence.load(std::memory_order_relaxed) == before) {
      return found;
    }
  }
  return std::nullopt;
}

template <class Value>
std::optional<typename MacTable<Value>::Found> MacTable<Value>::find(const MacAddress& mac) const {
  const Block& block = *block_.load(std::memory_order_seq_cst);
  const std::uint64_t key = keyOf(mac);
  const std::size_t slot = slotOf(block, key);
  return slot == kNoSlot ? std::nullopt : readSlot(block, slot, key);
}

template <class Value>
std::optional<typename MacTable<Value>::Found> MacTable<Value>::findAndUse(
    const MacAddress& mac, std::uint64_t nowMs) const {
  const Block& block = *block_.load(std::memory_order_seq_cst);
  const std::uint64_t key = keyOf(mac);
  const std::size_t slot = slotOf(block, key);
  if (slot == kNoSlot) {
    return std::nullopt;
  }
  auto found = readSlot(block, slot, key);
  if (found) {
    // Should the slot have a new owner by now, that one seems to be in use: no harm.
    auto& lastUsedMs = block.entry(slot).lastUsedMs;
    if (nowMs - lastUsedMs.load(std::memory_order_relaxed) >= kTouchMs) {
      lastUsedMs.store(nowMs, std::memory_order_relaxed);
    }
  }
  return found;
}

template <class Value>
template <class Visit>
void MacTable<Value>::forEach(Visit&& visit) const {
  const Block& block = *block_.load(std::memory_order_seq_cst);
  for (std::size_t slot = 0; slot < block.slotCount(); ++slot) {
    const std::uint64_t key = block.key(slot).load(std::memory_order_relaxed);
    if (key == 0) {
      continue;
    }
    if (const auto found = readSlot(block, slot, key)) {
      const Entry& entry = block.entry(slot);
      visit(MacEntry<Value>{.mac = MacAddress::fromBits(key & ~kOccupied),
                            .value = found->value,
                            .pinned = found->pinned,
                            .lastHeardMs = entry.lastHeardMs.load(std::memory_order_relaxed),
                            .lastUsedMs = entry.lastUsedMs.load(std::memory_order_relaxed),
                            .noticeMs = entry.noticeMs.load(std::memory_order_relaxed)});
    }
  }
}

// ---- the writer -------------------------------------------------------------------------

template <class Value>
MacTable<Value>::MacTable(const HashKey& key, std::uint32_t limit)
    : hashKey_(key),
      limit_(std::clamp(limit, 1U, kLimitMax)),
      block_(std::make_unique<Block>(kSlotsMin).release()) {}

template <class Value>
MacTable<Value>::~MacTable() {
  for (std::atomic<Block*>* owner : {&block_, &offered_, &retired_}) {
    const std::unique_ptr<Block> block(owner->load());
  }
}

template <class Value>
LearnResult<Value> MacTable<Value>::learn(const MacAddress& mac, const Value& value,
                                          std::uint64_t nowMs) {
  const Block& block = *block_.load(std::memory_order_relaxed);
  const std::uint64_t key = keyOf(mac);
  const std::size_t slot = slotOf(block, key);
  if (slot == kNoSlot) {
    return insert(key, value, false, nowMs);
  }
  Entry& entry = block.entry(slot);
  LearnResult<Value> result{.previous = loadValue(entry)};
  if (result.previous != value) {
    if (entry.pinned.load(std::memory_order_relaxed)) {
      result.outcome = LearnOutcome::kPinned;
      return result;
    }
    result.outcome = LearnOutcome::kMoved;
    writeEntry(block, slot, key, value);
  }
  if (nowMs - entry.lastHeardMs.load(std::memory_order_relaxed) >= kTouchMs) {
    entry.lastHeardMs.store(nowMs, std::memory_order_relaxed);
  }
  return result;
}

template <class Value>
LearnResult<Value> MacTable<Value>::set(const MacAddress& mac, const Value& value, bool pinned,
                                        std::uint64_t nowMs) {
  const Block& block = *block_.load(std::memory_order_relaxed);
  const std::uint64_t key = keyOf(mac);
  const std::size_t slot = slotOf(block, key);
  if (slot == kNoSlot) {
    return insert(key, value, pinned, nowMs);
  }
  Entry& entry = block.entry(slot);
  LearnResult<Value> result{.previous = loadValue(entry)};
  if (result.previous != value) {
    result.outcome = LearnOutcome::kMoved;
    writeEntry(block, slot, key, value);
  }
  entry.pinned.store(pinned, std::memory_order_release);
  entry.lastHeardMs.store(nowMs, std::memory_order_relaxed);
  return result;
}

template <class Value>
LearnResult<Value> MacTable<Value>::insert(std::uint64_t key, const Value& value, bool pinned,
                                           std::uint64_t nowMs) {
  const Block& block = *block_.load(std::memory_order_relaxed);
  const Home home = homeOf(block, key);
  std::size_t slot = freeSlot(block, home);
  LearnResult<Value> result{.outcome = LearnOutcome::kNew,
                            .growthWanted = slot == kNoSlot && wantGrowth(block)};
  const bool isAtLimit = size() >= limit_.load(std::memory_order_relaxed);
  if (slot == kNoSlot || isAtLimit) {
    std::size_t victim = oldestAtHome(block, home);
    if (victim == kNoSlot && slot != kNoSlot) {
      victim = oldestNearby(block);
    }
    if (victim == kNoSlot) {
      result.outcome = LearnOutcome::kRefused;
      return result;
    }
    result.evicted =
        MacAddress::fromBits(block.key(victim).load(std::memory_order_relaxed) & ~kOccupied);
    eraseSlot(block, victim);
    slot = slot == kNoSlot ? victim : slot;
  }
  Entry& entry = block.entry(slot);
  entry.lastHeardMs.store(nowMs, std::memory_order_relaxed);
  entry.lastUsedMs.store(0, std::memory_order_relaxed);
  entry.noticeMs.store(0, std::memory_order_relaxed);
  entry.pinned.store(pinned, std::memory_order_release);
  writeEntry(block, slot, key, value);
  size_.store(size() + 1, std::memory_order_relaxed);
  if (size() * 2 > block.slotCount()) {
    result.growthWanted = wantGrowth(block) || result.growthWanted;
  }
  return result;
}

template <class Value>
bool MacTable<Value>::erase(const MacAddress& mac) {
  const Block& block = *block_.load(std::memory_order_relaxed);
  const std::size_t slot = slotOf(block, keyOf(mac));
  if (slot != kNoSlot) {
    eraseSlot(block, slot);
  }
  return slot != kNoSlot;
}

template <class Value>
void MacTable<Value>::clear() {
  const Block& block = *block_.load(std::memory_order_relaxed);
  for (std::size_t slot = 0; slot < block.slotCount(); ++slot) {
    if (block.key(slot).load(std::memory_order_relaxed) != 0) {
      eraseSlot(block, slot);
    }
  }
}

template <class Value>
void MacTable<Value>::setLimit(std::uint32_t limit) {
  limit_.store(std::clamp(limit, 1U, kLimitMax), std::memory_order_relaxed);
}

template <class Value>
template <class Visit>
void MacTable<Value>::sweep(std::size_t slotBudget, Visit&& visit) {
  const Block& block = *block_.load(std::memory_order_relaxed);
  for (std::size_t i = std::min(slotBudget, block.slotCount()); i > 0; --i) {
    const std::size_t slot = sweepSlot_++ & (block.slotCount() - 1);
    const std::uint64_t key = block.key(slot).load(std::memory_order_relaxed);
    if (key == 0) {
      continue;
    }
    Entry& entry = block.entry(slot);
    MacEntry<Value> shown{.mac = MacAddress::fromBits(key & ~kOccupied),
                          .value = loadValue(entry),
                          .pinned = entry.pinned.load(std::memory_order_relaxed),
                          .lastHeardMs = entry.lastHeardMs.load(std::memory_order_relaxed),
                          .lastUsedMs = entry.lastUsedMs.load(std::memory_order_relaxed),
                          .noticeMs = entry.noticeMs.load(std::memory_order_relaxed)};
    if (visit(shown) == SweepVerdict::kErase) {
      eraseSlot(block, slot);
    } else {
      entry.noticeMs.store(shown.noticeMs, std::memory_order_relaxed);
    }
  }
}

// ---- slots ------------------------------------------------------------------------------

template <class Value>
Value MacTable<Value>::loadValue(const Entry& entry) {
  ValueWords words{};
  for (std::size_t i = 0; i < kValueWords; ++i) {
    words[i] = entry.value[i].load(std::memory_order_acquire);
  }
  Value value{};
  std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
  return value;
}

template <class Value>
void MacTable<Value>::storeValue(Entry& entry, const Value& value) {
  ValueWords words{};
  std::memcpy(words.data(), static_cast<const void*>(&value), sizeof value);
  for (std::size_t i = 0; i < kValueWords; ++i) {
    entry.value[i].store(words[i], std::memory_order_release);
  }
}

template <class Value>
std::size_t MacTable<Value>::slotOf(const Block& block, std::uint64_t key) const {
  for (const std::size_t first : homeOf(block, key)) {
    for (std::size_t slot = first; slot < first + kSlotsPerBucket; ++slot) {
      if (block.key(slot).load(std::memory_order_relaxed) == key) {
        return slot;
      }
    }
  }
  return kNoSlot;
}

template <class Value>
std::size_t MacTable<Value>::freeSlot(const Block& block, const Home& home) {
  std::size_t best = kNoSlot;
  std::size_t bestFreeCount = 0;
  for (const std::size_t first : home) {
    std::size_t freeCount = 0;
    std::size_t free = kNoSlot;
    for (std::size_t slot = first; slot < first + kSlotsPerBucket; ++slot) {
      if (block.key(slot).load(std::memory_order_relaxed) == 0) {
        ++freeCount;
        free = slot;
      }
    }
    if (freeCount > bestFreeCount) {
      best = free;
      bestFreeCount = freeCount;
    }
  }
  return best;
}

template <class Value>
void MacTable<Value>::preferOlder(const Block& block, std::size_t slot, std::size_t& oldest) {
  const Entry& entry = block.entry(slot);
  if (block.key(slot).load(std::memory_order_relaxed) == 0 ||
      entry.pinned.load(std::memory_order_relaxed)) {
    return;
  }
  if (oldest == kNoSlot || entry.lastHeardMs.load(std::memory_order_relaxed) <
                               block.entry(oldest).lastHeardMs.load(std::memory_order_relaxed)) {
    oldest = slot;
  }
}

template <class Value>
std::size_t MacTable<Value>::oldestAtHome(const Block& block, const Home& home) {
  std::size_t oldest = kNoSlot;
  for (const std::size_t first : home) {
    for (std::size_t slot = first; slot < first + kSlotsPerBucket; ++slot) {
      preferOlder(block, slot, oldest);
    }
  }
  return oldest;
}

template <class Value>
std::size_t MacTable<Value>::oldestNearby(const Block& block) {
  std::size_t oldest = kNoSlot;
  for (std::size_t i = 0; i < kVictimProbes; ++i) {
    preferOlder(block, victimSlot_++ & (block.slotCount() - 1), oldest);
  }
  return oldest;
}

template <class Value>
void MacTable<Value>::writeEntry(const Block& block, std::size_t slot, std::uint64_t key,
                                 const Value& value) {
  Entry& entry = block.entry(slot);
  const std::uint32_t sequence = entry.sequence.load(std::memory_order_relaxed);
  entry.sequence.store(sequence + 1, std::memory_order_relaxed);
  // Release: who reads one of these sees the odd sequence as well.
  storeValue(entry, value);
  block.key(slot).store(key, std::memory_order_release);
  entry.sequence.store(sequence + 2, std::memory_order_release);
}

template <class Value>
void MacTable<Value>::eraseSlot(const Block& block, std::size_t slot) {
  Entry& entry = block.entry(slot);
  const std::uint32_t sequence = entry.sequence.load(std::memory_order_relaxed);
  entry.sequence.store(sequence + 1, std::memory_order_relaxed);
  block.key(slot).store(0, std::memory_order_release);
  entry.sequence.store(sequence + 2, std::memory_order_release);
  size_.store(size() - 1, std::memory_order_relaxed);
}

// ---- growth -----------------------------------------------------------------------------

// True when it is news: the control thread has not been told yet.
template <class Value>
bool MacTable<Value>::wantGrowth(const Block& block) {
  return block.slotCount() < slotsMax() && !growthWanted_.exchange(true, std::memory_order_acq_rel);
}

template <class Value>
void MacTable<Value>::maintain(Reclaimer& reclaimer) {
  if (Block* const retired = retired_.exchange(nullptr, std::memory_order_acq_rel)) {
    reclaimer.retire(retired);
  }
  if (growthWanted_.load(std::memory_order_acquire) &&
      offered_.load(std::memory_order_acquire) == nullptr) {
    const std::size_t slots = std::min(slotCount() * kGrowthFactor, slotsMax());
    offered_.store(std::make_unique<Block>(slots).release(), std::memory_order_release);
  }
}

template <class Value>
void MacTable<Value>::adoptGrowth() {
  if (offered_.load(std::memory_order_relaxed) == nullptr ||
      retired_.load(std::memory_order_relaxed) != nullptr) {
    return;
  }
  growthWanted_.store(false, std::memory_order_release);
  Block* const offered = offered_.exchange(nullptr, std::memory_order_acq_rel);
  Block* const current = block_.load(std::memory_order_relaxed);
  Block* left = offered;
  // Pinned ones first: should one find no place (that takes 16 others where two are expected), the
  // old block stays. A learned one that finds none is learned again.
  if (offered->slotCount() > current->slotCount() && copyInto(*current, *offered, true) == 0) {
    const std::size_t lostCount = copyInto(*current, *offered, false);
    size_.store(size() - lostCount, std::memory_order_relaxed);
    block_.store(offered, std::memory_order_seq_cst);
    left = current;
  }
  retired_.store(left, std::memory_order_release);
}

// Copies the pinned, or the other, entries. Returns how many found no place. Nobody reads `to` yet.
template <class Value>
std::size_t MacTable<Value>::copyInto(const Block& from, const Block& to, bool pinned) const {
  std::size_t lostCount = 0;
  for (std::size_t slot = 0; slot < from.slotCount(); ++slot) {
    const std::uint64_t key = from.key(slot).load(std::memory_order_relaxed);
    const Entry& source = from.entry(slot);
    if (key == 0 || source.pinned.load(std::memory_order_relaxed) != pinned) {
      continue;
    }
    const std::size_t free = freeSlot(to, homeOf(to, key));
    if (free == kNoSlot) {
      ++lostCount;
      continue;
    }
    Entry& target = to.entry(free);
    target.pinned.store(pinned, std::memory_order_relaxed);
    target.lastHeardMs.store(source.lastHeardMs.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    target.lastUsedMs.store(source.lastUsedMs.load(std::memory_order_relaxed),
                            std::memory_order_relaxed);
    target.noticeMs.store(source.noticeMs.load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
    writeEntry(to, free, key, loadValue(source));
  }
  return lostCount;
}

}  // namespace vnetd
