// When may the control thread free what workers may still be reading?
//
// A worker that is at a quiescent point holds no pointer into shared tables. The control thread
// takes something out of the tables' reach, notes the epoch, and frees it once every worker has
// been at a quiescent point since. Workers never wait, and never write a cache line that another
// worker writes.
//
//     worker                                    control thread
//     for (;;) {                                table.publish(new)
//       quiescence.idle(kInbound);              reclaimer.retire(old)
//       epoll_wait(…);                          …
//       quiescence.active(kInbound);            each tick: reclaimer.reclaim()
//       … read tables …
//     }
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "tables/counters.h"

namespace vnetd {

// The threads that read shared tables without being the one that frees.
enum class Worker : std::uint8_t { kOutbound, kInbound };
inline constexpr std::size_t kWorkerCount = 2;

class Quiescence {
 public:
  Quiescence() = default;
  Quiescence(const Quiescence&) = delete;
  Quiescence& operator=(const Quiescence&) = delete;
  Quiescence(Quiescence&&) = delete;
  Quiescence& operator=(Quiescence&&) = delete;
  ~Quiescence() = default;

  // This worker holds nothing and is about to sleep; nobody waits for it until active().
  void idle(Worker worker) { slot(worker).store(kIdle, std::memory_order_seq_cst); }

  // Begins a round: a quiescent point by itself, so a busy worker may call it once a round without
  // idle(). What is read from tables after it is as new as the epoch.
  void active(Worker worker) {
    slot(worker).store(epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
  }

  // Control thread: the epoch that every worker must reach before what was unpublished up to now
  // may be freed.
  [[nodiscard]] std::uint64_t advance() {
    return epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
  }

  // Control thread: has every worker been at a quiescent point since advance() gave `epoch`?
  [[nodiscard]] bool hasPassed(std::uint64_t epoch) const;

 private:
  static constexpr std::uint64_t kIdle = std::numeric_limits<std::uint64_t>::max();

  struct alignas(kCacheLineBytes) Slot {
    std::atomic<std::uint64_t> epoch{kIdle};
  };

  [[nodiscard]] std::atomic<std::uint64_t>& slot(Worker worker) {
    return slots_[static_cast<std::size_t>(worker)].epoch;
  }

  alignas(kCacheLineBytes) std::atomic<std::uint64_t> epoch_{0};
  std::array<Slot, kWorkerCount> slots_{};
};

// The control thread's list of what waits to be freed.
class Reclaimer {
 public:
  explicit Reclaimer(Quiescence& quiescence) : quiescence_(quiescence) {}
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;
  Reclaimer(Reclaimer&&) = delete;
  Reclaimer& operator=(Reclaimer&&) = delete;
  // Frees everything: the workers have ended.
  ~Reclaimer();

  // Takes over `object`, which no table points to any more.
  template <class T>
  void retire(T* object) {
    retireErased(object,
                 [](void* erased) { const std::unique_ptr<T> owned(static_cast<T*>(erased)); });
  }

  // Frees what every worker has passed. Returns how many still wait.
  std::size_t reclaim();

 private:
  struct Retired {
    void* object;
    void (*destroy)(void*);
    std::uint64_t epoch;
  };

  void retireErased(void* object, void (*destroy)(void*));

  Quiescence& quiescence_;
  std::vector<Retired> retired_;
};

}  // namespace vnetd
