#include "tables/rate-limit.h"

#include <cstdint>

#include "tables/counters.h"
#include "tables/miss-limiter.h"
#include "test/check.h"

namespace vnetd {
namespace {

constexpr HashKey kKey{.first = 0x0123456789ABCDEF, .second = 0xFEDCBA9876543210};

Endpoint host(std::uint32_t number, std::uint16_t udpPort = 1798) {
  return Endpoint::from(IpAddress::fromIpv4(0x0A000000U + number), udpPort);
}

int admittedOf(TokenBucket& bucket, Rate rate, int tries, std::uint64_t nowMs) {
  int admitted = 0;
  for (int i = 0; i < tries; ++i) {
    admitted += bucket.admit(rate, nowMs) ? 1 : 0;
  }
  return admitted;
}

TEST("a bucket gives its burst, then its rate") {
  constexpr Rate kRate{.perSecond = 10, .burst = 5};
  TokenBucket bucket(kRate, 1'000);
  CHECK_EQ(admittedOf(bucket, kRate, 100, 1'000), 5);
  CHECK_EQ(admittedOf(bucket, kRate, 100, 1'099), 0);
  CHECK_EQ(admittedOf(bucket, kRate, 100, 1'100), 1);
  CHECK_EQ(admittedOf(bucket, kRate, 100, 1'350), 2);
  CHECK_EQ(admittedOf(bucket, kRate, 100, 1'400), 1);
  CHECK_EQ(admittedOf(bucket, kRate, 100, 1'000'000), 5);
}

TEST("a slow rate is not lost in milliseconds, and time never runs back") {
  constexpr Rate kRate{.perSecond = 1, .burst = 1};
  TokenBucket bucket(kRate, 0);
  CHECK_EQ(admittedOf(bucket, kRate, 1, 0), 1);
  int admitted = 0;
  for (std::uint64_t nowMs = 1; nowMs <= 10'000; ++nowMs) {
    admitted += admittedOf(bucket, kRate, 1, nowMs);
  }
  CHECK_EQ(admitted, 10);
  CHECK_EQ(admittedOf(bucket, kRate, 1, 5'000), 0);
}

TEST("a rate of nothing never refills, and no product overflows") {
  constexpr Rate kNothing{.perSecond = 0, .burst = 2};
  TokenBucket none(kNothing, 0);
  CHECK_EQ(admittedOf(none, kNothing, 10, ~std::uint64_t{0}), 2);
  constexpr Rate kMost{.perSecond = ~std::uint32_t{0}, .burst = ~std::uint32_t{0}};
  TokenBucket most(kMost, 0);
  CHECK_EQ(admittedOf(most, kMost, 1'000, ~std::uint64_t{0}), 1'000);
}

constexpr SourceRateLimiter::Limits kLimits{.perSource = {.perSecond = 10, .burst = 20},
                                            .total = {.perSecond = 1'000, .burst = 1'000}};

TEST("one host that sends too much costs the others nothing") {
  SourceRateLimiter limiter(kKey, kLimits, 0);
  int noisy = 0;
  int quiet = 0;
  for (std::uint64_t nowMs = 0; nowMs < 10'000; ++nowMs) {
    for (int i = 0; i < 10; ++i) {
      noisy += limiter.admit(host(1), nowMs) ? 1 : 0;
    }
    if (nowMs % 1'000 == 0) {
      quiet += limiter.admit(host(2), nowMs) ? 1 : 0;
    }
  }
  CHECK_EQ(quiet, 10);
  CHECK(noisy >= 100);
  CHECK(noisy <= 120);
}

TEST("another port is not another host") {
  SourceRateLimiter limiter(kKey, kLimits, 0);
  int admitted = 0;
  for (std::uint16_t port = 1; port < 1'000; ++port) {
    admitted += limiter.admit(host(1, port), 0) ? 1 : 0;
  }
  CHECK_EQ(admitted, 20);
}

TEST("inventing addresses gains no more than the total") {
  SourceRateLimiter limiter(kKey, kLimits, 0);
  int admitted = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    admitted += limiter.admit(host(i), 0) ? 1 : 0;
  }
  CHECK_EQ(admitted, 1'000);
}

TEST("a MAC is told of once a second") {
  MissLimiter limiter(kKey);
  const MacAddress mac = MacAddress::fromBits(0x020000000001);
  CHECK(limiter.admit(mac, 5'000));
  CHECK(!limiter.admit(mac, 5'000));
  CHECK(!limiter.admit(mac, 5'999));
  CHECK(limiter.admit(mac, 6'000));
  CHECK(limiter.admit(MacAddress::fromBits(0x020000000002), 6'000));
}

TEST("a spray of MACs raises no more than the slots, each at most once a second") {
  MissLimiter limiter(kKey);
  int told = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    told += limiter.admit(MacAddress::fromBits(0x020000000000 + i), 1'000) ? 1 : 0;
  }
  CHECK_EQ(told, static_cast<int>(MissLimiter::kSlotCount));
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    CHECK(!limiter.admit(MacAddress::fromBits(0x020000000000 + i), 1'500));
  }
  CHECK(limiter.admit(MacAddress::fromBits(0x02FF00000000), 2'000));
}

TEST("counters add up over the threads") {
  CounterSet counters;
  counters.of(CounterThread::kOutbound).add(Counter::kOutboundFrames);
  counters.of(CounterThread::kInbound).add(Counter::kOutboundFrames, 41);
  counters.of(CounterThread::kControl).add(Counter::kDropShort);
  CHECK_EQ(counters.sum(Counter::kOutboundFrames), 42U);
  CHECK_EQ(counters.sum(Counter::kDropShort), 1U);
  CHECK_EQ(counters.sum(Counter::kDropUnknownVnet), 0U);
  CHECK_EQ(kCounterNames.front(), "outbound-frames");
  CHECK_EQ(kCounterNames.at(static_cast<std::size_t>(Counter::kDropShort)), "drop-short");
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
