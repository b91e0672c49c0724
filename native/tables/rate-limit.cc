#include "tables/rate-limit.h"

#include <algorithm>

namespace vnetd {

namespace {

constexpr std::uint64_t kMilliTokensPerToken = 1'000;

}  // namespace

TokenBucket::TokenBucket(Rate rate, std::uint64_t nowMs)
    : milliTokens_(rate.burst * kMilliTokensPerToken), lastMs_(nowMs) {}

bool TokenBucket::admit(Rate rate, std::uint64_t nowMs) {
  const std::uint64_t full = rate.burst * kMilliTokensPerToken;
  if (nowMs > lastMs_) {
    // Tokens a second are milli-tokens a millisecond. A rate of 0 never refills.
    const std::uint64_t elapsedMs = nowMs - lastMs_;
    const std::uint64_t missing = full - std::min(full, milliTokens_);
    const bool isRefilled = rate.perSecond != 0 && elapsedMs >= missing / rate.perSecond + 1;
    milliTokens_ = isRefilled ? full : milliTokens_ + elapsedMs * rate.perSecond;
    lastMs_ = nowMs;
  }
  if (milliTokens_ < kMilliTokensPerToken) {
    return false;
  }
  milliTokens_ -= kMilliTokensPerToken;
  return true;
}

SourceRateLimiter::SourceRateLimiter(const HashKey& key, const Limits& limits, std::uint64_t nowMs)
    : key_(key),
      limits_(limits),
      total_(limits.total, nowMs),
      sets_(std::make_unique<std::array<Set, kSetCount>>()) {
  for (Set& set : *sets_) {
    set.fill(Slot{.bucket = TokenBucket(limits.perSource, nowMs)});
  }
}

bool SourceRateLimiter::admit(const Endpoint& source, std::uint64_t nowMs) {
  return bucketOf(source).admit(limits_.perSource, nowMs) && total_.admit(limits_.total, nowMs);
}

TokenBucket& SourceRateLimiter::bucketOf(const Endpoint& source) {
  const std::uint64_t hash = hashAddress(key_, source);
  Set& set = (*sets_)[hash % kSetCount];
  auto* const own = std::ranges::find(set, hash, &Slot::hash);
  if (own != set.end()) {
    return own->bucket;
  }
  auto* const oldest =
      std::ranges::min_element(set, {}, [](const Slot& slot) { return slot.bucket.lastMs(); });
  oldest->hash = hash;
  return oldest->bucket;
}

}  // namespace vnetd
