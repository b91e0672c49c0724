// Token buckets: how many control messages a second we look at, from one host and in all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tables/keyed-hash.h"
#include "wire/endpoint.h"

namespace vnetd {

struct Rate {
  std::uint32_t perSecond = 0;
  std::uint32_t burst = 0;
};

// One bucket; starts full. Times are of any monotonic clock in milliseconds; a time before the
// last one adds nothing.
class TokenBucket {
 public:
  TokenBucket() = default;
  TokenBucket(Rate rate, std::uint64_t nowMs);

  // Takes a token if there is one.
  [[nodiscard]] bool admit(Rate rate, std::uint64_t nowMs);

  [[nodiscard]] std::uint64_t lastMs() const { return lastMs_; }

 private:
  // A token is 1,000 of them, so that a millisecond of a slow rate is not lost.
  std::uint64_t milliTokens_ = 0;
  std::uint64_t lastMs_ = 0;
};

// A bucket for each source, within one for all. Fixed memory; used by one thread.
//
// Sources that meet in a full set of the table share: the newcomer takes over the bucket that was
// idle longest, with the tokens that are left in it, so inventing addresses gains no tokens.
class SourceRateLimiter {
 public:
  struct Limits {
    Rate perSource;
    Rate total;
  };

  SourceRateLimiter(const HashKey& key, const Limits& limits, std::uint64_t nowMs);

  // HOT PATH: no allocation, no throw. The source's own bucket is asked first: what one source
  // has too many costs the others nothing.
  [[nodiscard]] bool admit(const Endpoint& source, std::uint64_t nowMs);

 private:
  static constexpr std::size_t kSetCount = 256;
  static constexpr std::size_t kWays = 4;

  struct Slot {
    std::uint64_t hash = 0;
    TokenBucket bucket;
  };
  using Set = std::array<Slot, kWays>;

  [[nodiscard]] TokenBucket& bucketOf(const Endpoint& source);

  HashKey key_;
  Limits limits_;
  TokenBucket total_;
  std::unique_ptr<std::array<Set, kSetCount>> sets_;
};

}  // namespace vnetd
