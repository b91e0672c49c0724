#include "path/hold-queue.h"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "test/check.h"

namespace vnetd {
namespace {

using Octets = std::vector<std::byte>;
using Outcome = HoldQueue::Outcome;

Octets datagramOf(std::uint32_t number, std::size_t bytes) {
  Octets octets(bytes, std::byte{static_cast<std::uint8_t>(number * 7)});
  storeU32(octets.data(), number);
  return octets;
}

Origin originOf(std::uint16_t port) {
  return {.host = Endpoint::from(IpAddress::fromIpv4(0x0A000001), port), .via = Via::kMulticast};
}

std::vector<std::uint32_t> releasedNumbers(HoldQueue& queue, std::uint32_t spi,
                                           std::uint64_t nowMs) {
  std::vector<std::uint32_t> numbers;
  queue.release(spi, nowMs, [&](MutableByteSpan octets, const Origin& /*origin*/) {
    numbers.push_back(loadU32(octets.data()));
  });
  return numbers;
}

TEST("what is held comes out once, in order, with where it came from") {
  HoldQueue queue;
  CHECK(queue.hold(1, originOf(5), datagramOf(10, 100), 1'000) == Outcome::kHeld);
  CHECK(queue.hold(2, originOf(6), datagramOf(20, 50), 1'000) == Outcome::kHeld);
  CHECK(queue.hold(1, originOf(7), datagramOf(11, 70), 1'001) == Outcome::kHeld);
  std::vector<std::uint16_t> ports;
  std::vector<Octets> octets;
  queue.release(1, 1'100, [&](MutableByteSpan datagram, const Origin& origin) {
    ports.push_back(origin.host.udpPort);
    octets.emplace_back(datagram.begin(), datagram.end());
  });
  CHECK(ports == std::vector<std::uint16_t>({5, 7}));
  CHECK(octets == std::vector({datagramOf(10, 100), datagramOf(11, 70)}));
  CHECK(releasedNumbers(queue, 1, 1'100).empty());
  CHECK(releasedNumbers(queue, 2, 1'199) == std::vector<std::uint32_t>({20}));
}

TEST("what waited too long is not given out, and is counted once") {
  HoldQueue queue;
  CHECK(queue.hold(1, originOf(5), datagramOf(1, 100), 1'000) == Outcome::kHeld);
  CHECK(queue.hold(1, originOf(5), datagramOf(2, 100), 1'150) == Outcome::kHeld);
  CHECK(releasedNumbers(queue, 1, 1'200) == std::vector<std::uint32_t>({2}));
  CHECK_EQ(queue.expire(1'400), 1U);
  CHECK_EQ(queue.expire(2'000), 0U);
}

TEST("an SPI has its share only, and gets it back") {
  HoldQueue queue;
  for (std::uint32_t number = 0; number < HoldQueue::kDatagramsPerSpi; ++number) {
    CHECK(queue.hold(9, originOf(5), datagramOf(number, 40), 1'000) == Outcome::kHeld);
  }
  CHECK(queue.hold(9, originOf(5), datagramOf(99, 40), 1'000) == Outcome::kFull);
  CHECK(queue.hold(8, originOf(5), datagramOf(99, 40), 1'000) == Outcome::kHeld);
  CHECK_EQ(releasedNumbers(queue, 9, 1'000).size(), HoldQueue::kDatagramsPerSpi);
  CHECK(queue.hold(9, originOf(5), datagramOf(100, 40), 1'001) == Outcome::kHeld);
}

TEST("an SPI's share is bounded in octets, too") {
  constexpr std::size_t kDatagramBytes = 9'000;
  HoldQueue queue;
  std::uint32_t held = 0;
  while (queue.hold(9, originOf(5), datagramOf(held, kDatagramBytes), 1'000) == Outcome::kHeld) {
    ++held;
  }
  CHECK_EQ(held, HoldQueue::kBytesPerSpi / kDatagramBytes);
  CHECK(held < HoldQueue::kDatagramsPerSpi);
  CHECK(queue.hold(9, originOf(5), datagramOf(99, 40), 1'000) == Outcome::kHeld);
  CHECK(queue.hold(8, originOf(5), datagramOf(99, kDatagramBytes), 1'000) == Outcome::kHeld);
  CHECK_EQ(releasedNumbers(queue, 9, 1'000).size(), held + 1);
  CHECK(queue.hold(9, originOf(5), datagramOf(100, kDatagramBytes), 1'001) == Outcome::kHeld);
}

TEST("the whole is bounded in datagrams and in octets") {
  HoldQueue small;
  std::uint32_t held = 0;
  while (small.hold(1'000 + held, originOf(5), datagramOf(held, 8), 1'000) == Outcome::kHeld) {
    ++held;
  }
  CHECK_EQ(held, HoldQueue::kDatagrams);
  HoldQueue large;
  held = 0;
  while (large.hold(1'000 + held, originOf(5), datagramOf(held, 65'000), 1'000) == Outcome::kHeld) {
    ++held;
  }
  CHECK_EQ(held, HoldQueue::kBytes / 65'000);
  CHECK_EQ(large.expire(2'000), held);
  CHECK(large.hold(1, originOf(5), datagramOf(1, 65'000), 2'000) == Outcome::kHeld);
}

// Round and round the memory: nothing that is held is written over.
TEST("a long random history agrees with a list") {
  struct Model {
    std::uint32_t spi;
    std::uint64_t untilMs;
    Octets octets;
  };
  HoldQueue queue;
  std::deque<Model> model;
  std::mt19937 random(12);  // NOLINT(*-msc51-cpp): the same history each time.
  std::uint64_t nowMs = 1'000;
  std::size_t released = 0;
  for (std::uint32_t step = 0; step < 50'000; ++step) {
    nowMs += random() % 3U;
    std::erase_if(model, [&](const Model& one) { return one.untilMs <= nowMs; });
    const std::uint32_t spi = 1 + static_cast<std::uint32_t>(random() % 40U);
    if (random() % 10U != 0) {
      const Octets octets = datagramOf(step, 8 + random() % 9'000U);
      if (queue.hold(spi, originOf(1), octets, nowMs) == Outcome::kHeld) {
        model.push_back({.spi = spi, .untilMs = nowMs + HoldQueue::kHoldMs, .octets = octets});
      }
      continue;
    }
    queue.release(spi, nowMs, [&](MutableByteSpan datagram, const Origin& /*origin*/) {
      const auto expected =
          std::ranges::find_if(model, [&](const Model& one) { return one.spi == spi; });
      REQUIRE(expected != model.end());
      CHECK(std::ranges::equal(datagram, expected->octets));
      model.erase(expected);
      ++released;
    });
    CHECK(std::ranges::none_of(model, [&](const Model& one) { return one.spi == spi; }));
  }
  CHECK(released > 1'000);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
