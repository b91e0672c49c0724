#include "tables/replay-window.h"

#include <algorithm>

namespace vnetd {

ReplayWindow::ReplayWindow(std::uint64_t seenUpTo) : floor_(seenUpTo), highest_(seenUpTo) {}

ReplayWindow::Verdict ReplayWindow::check(std::uint64_t counter) const {
  if (counter > highest_) {
    return Verdict::kFresh;
  }
  if (counter <= floor_ || highest_ - counter >= kWindowPackets) {
    return Verdict::kTooOld;
  }
  const std::uint64_t word = words_[counter / kWordBits % kWordCount];
  return (word >> counter % kWordBits & 1U) == 0 ? Verdict::kFresh : Verdict::kReplayed;
}

ReplayWindow::Verdict ReplayWindow::accept(std::uint64_t counter) {
  const Verdict verdict = check(counter);
  if (verdict != Verdict::kFresh) {
    return verdict;
  }
  if (counter > highest_) {
    // The words the window moves into still hold what was 129 words ago.
    const std::uint64_t newest = highest_ / kWordBits;
    const std::uint64_t steps = std::min(counter / kWordBits - newest, kWordCount);
    for (std::uint64_t step = 1; step <= steps; ++step) {
      words_[(newest + step) % kWordCount] = 0;
    }
    highest_ = counter;
  }
  words_[counter / kWordBits % kWordCount] |= std::uint64_t{1} << counter % kWordBits;
  return verdict;
}

}  // namespace vnetd
