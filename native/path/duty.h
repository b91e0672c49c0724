// How the two workers wait, and how one helps the other out.
//
// Waking a sleeping thread costs more than all that is done to a frame (20 to 30 µs in a virtual
// machine). So a worker that has just worked lingers: it yields the CPU, looks again, and sleeps
// only when nothing came for a while. And because the answer to what came one way goes the other
// way, it looks at the other worker's descriptors too; if that one sleeps, it takes its turn.
//
// All state of a worker belongs to whoever holds its Turn: there is no other lock, and nobody ever
// waits for long, for a turn ends with the round. Under load each worker holds its own all the
// time, and never meets the other.
#pragma once

#include <sched.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "host/clock.h"
#include "tables/counters.h"

namespace vnetd {

// The right to run one worker's rounds.
class Turn {
 public:
  bool tryTake() {
    return !isTaken_.load(std::memory_order_relaxed) &&
           !isTaken_.exchange(true, std::memory_order_acquire);
  }

  // For the worker itself: a helper's round is short.
  void take() {
    while (!tryTake()) {
      ::sched_yield();
    }
  }

  void release() { isTaken_.store(false, std::memory_order_release); }

  // Said by the worker itself, around the wait that it may not come back from soon.
  void setAsleep(bool isAsleep) { isAsleep_.store(isAsleep, std::memory_order_relaxed); }
  [[nodiscard]] bool isAsleep() const { return isAsleep_.load(std::memory_order_relaxed); }

 private:
  alignas(kCacheLineBytes) std::atomic<bool> isTaken_{false};
  std::atomic<bool> isAsleep_{false};
};

// How long a worker may linger. What it spends in vain comes out of a tenth of the time, so that a
// quiet host stays quiet.
class LingerBudget {
 public:
  static constexpr std::int64_t kLingerNs = 80'000;
  static constexpr std::int64_t kCreditNsMax = 2'000'000;

  [[nodiscard]] std::int64_t allowedNs(std::int64_t nowNs) {
    creditNs_ = std::min(kCreditNsMax, creditNs_ + (nowNs - countedNs_) / 10);
    countedNs_ = nowNs;
    return std::clamp<std::int64_t>(creditNs_, 0, kLingerNs);
  }

  void spend(std::int64_t ns) { creditNs_ -= std::min(ns, kLingerNs); }

 private:
  std::int64_t creditNs_ = kCreditNsMax;
  std::int64_t countedNs_ = 0;
};

inline constexpr std::size_t kReadyMax = 64;
using ReadyEvents = std::array<epoll_event, kReadyMax>;

// A worker offers
//   int epollDescriptor() const; Turn& turn(); bool isStopped() const; int untilTickMs() const;
//   bool round(std::span<const epoll_event>);   its whole round, tick and mailbox included
//   bool assist(std::span<const epoll_event>);  frames only
// Both say whether there were frames.

// Looks at the sleeping colleague's descriptors. False: nothing to do, or it is awake.
template <typename Other>
bool helpOut(Other& other, ReadyEvents& ready) {
  if (!other.turn().isAsleep() || !other.turn().tryTake()) {
    return false;
  }
  // Under the turn: an event that was taken out before could name a vnet that is gone.
  const int count = ::epoll_wait(other.epollDescriptor(), ready.data(), kReadyMax, 0);
  const bool hasWorked =
      count > 0 && other.assist(std::span(ready).first(static_cast<std::size_t>(count)));
  other.turn().release();
  return hasWorked;
}

// Until something came (its count) or the time is up (0).
template <typename Own, typename Other>
int linger(Own& own, Other& other, ReadyEvents& ready, LingerBudget& budget) {
  constexpr int kLooksMin = 4;
  std::int64_t startNs = monotonicNs();
  std::int64_t allowedNs = budget.allowedNs(startNs);
  for (int looks = 0;; ++looks) {
    const int count = ::epoll_wait(own.epollDescriptor(), ready.data(), kReadyMax, 0);
    if (count != 0) {
      return count;
    }
    if (helpOut(other, ready)) {
      looks = 0;
      startNs = monotonicNs();
      allowedNs = budget.allowedNs(startNs);
    }
    const std::int64_t spentNs = monotonicNs() - startNs;
    if (looks >= kLooksMin && spentNs >= allowedNs) {
      budget.spend(spentNs);
      return 0;
    }
    ::sched_yield();
  }
}

// The body of a worker's thread; returns after its stop().
template <typename Own, typename Other>
void runDuty(Own& own, Other& other) {
  ReadyEvents ready{};
  LingerBudget budget;
  int count = 0;
  while (!own.isStopped()) {
    if (count <= 0) {
      own.turn().setAsleep(true);
      count = ::epoll_wait(own.epollDescriptor(), ready.data(), kReadyMax, own.untilTickMs());
      own.turn().setAsleep(false);
    }
    own.turn().take();
    const bool hasWorked =
        own.round(std::span(ready).first(static_cast<std::size_t>(std::max(count, 0))));
    own.turn().release();
    count = hasWorked && !own.isStopped() ? linger(own, other, ready, budget) : 0;
  }
}

}  // namespace vnetd
