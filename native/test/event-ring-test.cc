#include "path/event-ring.h"

#include <poll.h>

#include <array>
#include <atomic>
#include <optional>
#include <thread>
#include <variant>

#include "test/check.h"

namespace vnetd {
namespace {

control::FdbMiss missOf(std::uint64_t number) {
  return {.vnet = {}, .mac = MacAddress::fromBits(number)};
}

// The number in the next event, or nothing.
std::optional<std::uint64_t> popNumber(EventRing& ring) {
  std::array<std::byte, kEventBytesMax> space{};
  const ByteSpan event = ring.pop(space);
  if (event.empty()) {
    return std::nullopt;
  }
  const control::DecodedMessage decoded = control::decodeMessage(event);
  const auto* const miss = std::get_if<control::FdbMiss>(&decoded.message);
  return miss == nullptr ? std::nullopt : std::optional(miss->mac.toBits());
}

bool isReadable(int descriptor) {
  pollfd one{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST("events come out whole and in order, also where the ring wraps") {
  EventRing ring;
  REQUIRE(!ring.open().failed());
  std::uint64_t next = 1;
  std::uint64_t expected = 1;
  // Twice around: an event is about 40 octets.
  for (int round = 0; round < 400; ++round) {
    for (int count = 0; count < 80; ++count) {
      CHECK(ring.push(missOf(next++)));
    }
    for (auto number = popNumber(ring); number; number = popNumber(ring)) {
      CHECK_EQ(*number, expected++);
    }
  }
  CHECK_EQ(expected, next);
  CHECK_EQ(ring.takeLost(), 0U);
}

TEST("what finds the ring full is counted, and what was in it stays whole") {
  EventRing ring;
  REQUIRE(!ring.open().failed());
  std::uint64_t kept = 0;
  while (ring.push(missOf(kept + 1))) {
    ++kept;
  }
  CHECK(kept > EventRing::kBytes / 64);
  CHECK(!ring.push(missOf(9)));
  CHECK_EQ(ring.takeLost(), 2U);
  CHECK_EQ(ring.takeLost(), 0U);
  std::uint64_t count = 0;
  for (auto number = popNumber(ring); number; number = popNumber(ring)) {
    CHECK_EQ(*number, ++count);
  }
  CHECK_EQ(count, kept);
  CHECK(ring.push(missOf(1)));
}

TEST("the bell rings once for a round with events, and not for one without") {
  EventRing ring;
  REQUIRE(!ring.open().failed());
  ring.wake();
  CHECK(!isReadable(ring.descriptor()));
  ring.push(missOf(1));
  ring.push(missOf(2));
  CHECK(!isReadable(ring.descriptor()));
  ring.wake();
  CHECK(isReadable(ring.descriptor()));
  ring.silence();
  ring.wake();
  CHECK(!isReadable(ring.descriptor()));
}

TEST("a writer and a reader at once lose nothing but what is counted, and mix nothing") {
  EventRing ring;
  REQUIRE(!ring.open().failed());
  constexpr std::uint64_t kEvents = 200'000;
  std::atomic<bool> isDone = false;
  std::thread writer([&] {
    for (std::uint64_t number = 1; number <= kEvents; ++number) {
      ring.push(missOf(number));
    }
    isDone = true;
  });
  std::uint64_t last = 0;
  std::uint64_t seen = 0;
  for (bool wasDone = false; !wasDone;) {
    wasDone = isDone;  // What is there when the writer has ended is all there will be.
    for (auto number = popNumber(ring); number; number = popNumber(ring)) {
      CHECK(*number > last);
      last = *number;
      ++seen;
    }
  }
  writer.join();
  CHECK_EQ(seen + ring.takeLost(), kEvents);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
