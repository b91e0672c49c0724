// The ring against a model that keeps every counter it has seen.
#include "tables/replay-window.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "test/check.h"

namespace vnetd {
namespace {

using Verdict = ReplayWindow::Verdict;

// Slow and obvious.
class ReplayModel {
 public:
  explicit ReplayModel(std::uint64_t seenUpTo) : floor_(seenUpTo), highest_(seenUpTo) {}

  [[nodiscard]] Verdict accept(std::uint64_t counter) {
    if (counter <= floor_ ||
        (counter < highest_ && highest_ - counter >= ReplayWindow::kWindowPackets)) {
      return Verdict::kTooOld;
    }
    if (!seen_.insert(counter).second) {
      return Verdict::kReplayed;
    }
    highest_ = std::max(highest_, counter);
    return Verdict::kFresh;
  }

 private:
  std::uint64_t floor_;
  std::uint64_t highest_;
  std::set<std::uint64_t> seen_;
};

bool isAccepted(ReplayWindow& window, std::uint64_t counter) {
  return window.accept(counter) == Verdict::kFresh;
}

TEST("each counter is fresh once, in any order within the window") {
  ReplayWindow window;
  for (std::uint64_t counter = ReplayWindow::kWindowPackets; counter >= 1; --counter) {
    CHECK(window.check(counter) == Verdict::kFresh);
    CHECK(window.accept(counter) == Verdict::kFresh);
    CHECK(window.check(counter) == Verdict::kReplayed);
    CHECK(window.accept(counter) == Verdict::kReplayed);
  }
}

TEST("the window is 8,192 counters long wherever it stands in its words") {
  for (std::uint64_t highest = 100'000; highest < 100'200; ++highest) {
    ReplayWindow window;
    CHECK(isAccepted(window, highest));
    CHECK(window.check(highest - ReplayWindow::kWindowPackets + 1) == Verdict::kFresh);
    CHECK(window.check(highest - ReplayWindow::kWindowPackets) == Verdict::kTooOld);
  }
}

TEST("counter 0 and everything up to the start is too old, also after the window moved") {
  const ReplayWindow fresh;
  CHECK(fresh.check(0) == Verdict::kTooOld);
  ReplayWindow window(5'000);
  CHECK_EQ(window.highest(), 5'000U);
  CHECK(window.check(5'000) == Verdict::kTooOld);
  CHECK(window.check(4'999) == Verdict::kTooOld);
  CHECK(isAccepted(window, 6'000));
  CHECK(window.check(5'001) == Verdict::kFresh);
  CHECK(window.check(5'000) == Verdict::kTooOld);
}

TEST("a question changes nothing, and neither does a refusal") {
  ReplayWindow window;
  CHECK(isAccepted(window, 10));
  CHECK(window.check(1'000'000) == Verdict::kFresh);
  CHECK_EQ(window.highest(), 10U);
  CHECK(window.accept(10) == Verdict::kReplayed);
  CHECK(window.accept(0) == Verdict::kTooOld);
  CHECK_EQ(window.highest(), 10U);
  CHECK(isAccepted(window, 9));
}

TEST("the ends of 64 bits are counters like others") {
  constexpr std::uint64_t kEnd = std::numeric_limits<std::uint64_t>::max();
  ReplayWindow window(kEnd - 3);
  CHECK(isAccepted(window, kEnd));
  CHECK(isAccepted(window, kEnd - 1));
  CHECK(window.check(kEnd) == Verdict::kReplayed);
  CHECK(window.check(kEnd - 2) == Verdict::kFresh);
  CHECK(window.check(kEnd - 3) == Verdict::kTooOld);
  CHECK(window.check(1) == Verdict::kTooOld);
  ReplayWindow leap;
  CHECK(isAccepted(leap, 1));
  CHECK(isAccepted(leap, kEnd));
  CHECK(leap.check(1) == Verdict::kTooOld);
  const ReplayWindow full(kEnd);
  CHECK(full.check(kEnd) == Verdict::kTooOld);
}

TEST("half a million random counters, near, far and doubled, get the model's verdicts") {
  std::mt19937_64 random(20'260'601);  // NOLINT(cert-msc51-cpp): the same run each time.
  for (int round = 0; round < 50; ++round) {
    const std::uint64_t start = random() >> (random() % 64);
    ReplayWindow window(start);
    ReplayModel model(start);
    std::uint64_t around = start;
    for (int step = 0; step < 10'000; ++step) {
      const std::uint64_t reach = std::uint64_t{1} << random() % 15;
      const std::uint64_t counter = around + random() % (2 * reach) - reach;
      const Verdict expected = model.accept(counter);
      if (window.check(counter) != expected || window.accept(counter) != expected) {
        test::reportFailure(__FILE__, __LINE__, "counter " + std::to_string(counter));
      }
      if (expected == Verdict::kFresh) {
        around = std::max(around, counter);
      }
    }
    CHECK_EQ(window.highest(), around);
  }
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
