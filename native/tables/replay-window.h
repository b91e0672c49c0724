// Has a packet with this counter been opened already? RFC 6479's ring of bits: the window moves by
// whole words, so that nothing is ever shifted.
//
//   word  (highest / 64) mod 129 … the window's newest word, partly used
//         then 128 whole words back: together at least the last 8,192 counters
//
// Ask with `check` before the packet is opened, because that is cheap; tell with `accept` only
// after its ICV is found right, or a stranger moves the window past our own packets. Where several
// threads open packets of one SA, the pair has to be under a lock: `accept` says again whether the
// counter was fresh, and that answer counts.
//
// Used by one thread. 1 KiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vnetd {

class ReplayWindow {
 public:
  // A counter this far behind the highest is too old, one less is not.
  static constexpr std::uint64_t kWindowPackets = 8'192;

  enum class Verdict : std::uint8_t { kFresh, kReplayed, kTooOld };

  // Everything up to `seenUpTo` counts as seen, 0 in any case: what an SA starts with when its
  // sender says how far it is.
  explicit ReplayWindow(std::uint64_t seenUpTo = 0);

  // HOT PATH: no allocation, no throw.
  [[nodiscard]] Verdict check(std::uint64_t counter) const;

  // Marks the counter as seen. Changes nothing, and says why, when it was not fresh.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] Verdict accept(std::uint64_t counter);

  // The highest counter seen, or `seenUpTo`.
  [[nodiscard]] std::uint64_t highest() const { return highest_; }

 private:
  static constexpr std::uint64_t kWordBits = 64;
  // One more than the window, since the newest word is only partly used.
  static constexpr std::uint64_t kWordCount = kWindowPackets / kWordBits + 1;

  std::uint64_t floor_;
  std::uint64_t highest_;
  std::array<std::uint64_t, kWordCount> words_{};
};

}  // namespace vnetd
