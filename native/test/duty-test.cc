#include "path/duty.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "host/file-descriptor.h"
#include "test/check.h"

namespace vnetd {
namespace {

// A worker whose frames are the counts of an eventfd; its mailbox is another one.
class CountingWorker {
 public:
  CountingWorker()
      : frames_(::eventfd(0, EFD_NONBLOCK)),
        bell_(::eventfd(0, EFD_NONBLOCK)),
        epoll_(::epoll_create1(0)) {
    watch(frames_.get(), 1);
    watch(bell_.get(), 0);
  }

  void bring(std::uint64_t count) const { CHECK_EQ(::write(frames_.get(), &count, 8), 8); }
  void ring() const {
    const std::uint64_t one = 1;
    CHECK_EQ(::write(bell_.get(), &one, 8), 8);
  }

  [[nodiscard]] int epollDescriptor() const { return epoll_.get(); }
  [[nodiscard]] Turn& turn() { return turn_; }
  [[nodiscard]] bool isStopped() const { return isStopped_; }
  [[nodiscard]] static int untilTickMs() { return 10'000; }

  bool round(std::span<const epoll_event> ready) {
    const bool hasWorked = assist(ready);
    for (const epoll_event& event : ready) {
      isStopped_ = isStopped_ || event.data.u64 == 0;
    }
    return hasWorked;
  }

  bool assist(std::span<const epoll_event> ready) {
    CHECK(!isInside_.exchange(true));
    bool hasWorked = false;
    for (const epoll_event& event : ready) {
      std::uint64_t count = 0;
      if (event.data.u64 == 1 && ::read(frames_.get(), &count, 8) == 8) {
        seen_ += count;
        hasWorked = true;
      }
    }
    isInside_ = false;
    return hasWorked;
  }

  [[nodiscard]] std::uint64_t seen() const { return seen_; }

 private:
  void watch(int descriptor, std::uint64_t tag) const {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
    CHECK_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event), 0);
  }

  FileDescriptor frames_;
  FileDescriptor bell_;
  FileDescriptor epoll_;
  Turn turn_;
  bool isStopped_ = false;
  std::atomic<bool> isInside_{false};
  // Not atomic on purpose: the turn is what guards it.
  std::uint64_t seen_ = 0;
};

TEST("a sleeping worker's frames are handled by the other, its mailbox is not") {
  CountingWorker other;
  other.turn().setAsleep(true);
  other.bring(3);
  other.ring();
  ReadyEvents ready{};
  CHECK(helpOut(other, ready));
  CHECK_EQ(other.seen(), 3U);
  CHECK(!other.isStopped());
  // Only the mailbox is left, which is not for a helper.
  CHECK(!helpOut(other, ready));
  CHECK(!other.isStopped());
}

TEST("nobody helps a worker that is awake, or in its round") {
  CountingWorker other;
  other.bring(1);
  ReadyEvents ready{};
  CHECK(!helpOut(other, ready));
  other.turn().setAsleep(true);
  CHECK(other.turn().tryTake());
  CHECK(!helpOut(other, ready));
  CHECK_EQ(other.seen(), 0U);
  other.turn().release();
  CHECK(helpOut(other, ready));
  CHECK_EQ(other.seen(), 1U);
}

TEST("a turn has one holder at a time") {
  Turn turn;
  int guarded = 0;
  constexpr int kTimes = 20'000;
  const auto body = [&] {
    for (int time = 0; time < kTimes; ++time) {
      turn.take();
      ++guarded;
      turn.release();
    }
  };
  std::thread one(body);
  std::thread two(body);
  one.join();
  two.join();
  CHECK_EQ(guarded, 2 * kTimes);
}

TEST("two workers see every frame once, whoever handles it, and end when told") {
  CountingWorker one;
  CountingWorker two;
  std::thread first([&] { runDuty(one, two); });
  std::thread second([&] { runDuty(two, one); });
  constexpr std::uint64_t kFrames = 50'000;
  for (std::uint64_t frame = 0; frame < kFrames; ++frame) {
    (frame % 3 == 0 ? one : two).bring(1);
  }
  // Level-triggered: what is there when the bell rings is seen in the same round or before.
  one.ring();
  two.ring();
  first.join();
  second.join();
  CHECK_EQ(one.seen() + two.seen(), kFrames);
}

TEST("what is lingered in vain is a tenth of the time at most") {
  LingerBudget budget;
  std::int64_t nowNs = 0;
  std::int64_t spentNs = 0;
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  while (nowNs < kSecondNs) {
    const std::int64_t allowedNs = budget.allowedNs(nowNs);
    CHECK(allowedNs >= 0);
    CHECK(allowedNs <= LingerBudget::kLingerNs);
    budget.spend(allowedNs);
    spentNs += allowedNs;
    nowNs += allowedNs + 1'000;
  }
  CHECK(spentNs <= kSecondNs / 10 + LingerBudget::kCreditNsMax);
  CHECK(spentNs >= kSecondNs / 12);
}

TEST("a worker that has been quiet may linger the whole time again") {
  LingerBudget budget;
  for (int time = 0; time < 100; ++time) {
    budget.spend(budget.allowedNs(1));
  }
  CHECK_EQ(budget.allowedNs(2), 0);
  CHECK_EQ(budget.allowedNs(1'000'000'000), LingerBudget::kLingerNs);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
