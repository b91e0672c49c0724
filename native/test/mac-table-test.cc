#include "tables/mac-table.h"

#include <atomic>
#include <cstdint>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "test/check.h"
#include "wire/endpoint.h"

namespace vnetd {
namespace {

using Fdb = MacTable<Endpoint>;
using Vifs = MacTable<NoValue>;

constexpr HashKey kKey{.first = 0x0123456789ABCDEF, .second = 0xFEDCBA9876543210};

MacAddress station(std::uint64_t number) { return MacAddress::fromBits(0x020000000000U | number); }

Endpoint host(std::uint32_t number) {
  return Endpoint::from(IpAddress::fromIpv4(0x0A000000U + number), 1798);
}

// What the daemon's threads do for growth, in one thread.
template <class Value>
void grow(MacTable<Value>& table, Reclaimer& reclaimer) {
  table.maintain(reclaimer);
  table.adoptGrowth();
  table.maintain(reclaimer);
  reclaimer.reclaim();
}

template <class Value>
std::set<MacAddress> listed(const MacTable<Value>& table) {
  std::set<MacAddress> macs;
  table.forEach([&macs](const MacEntry<Value>& entry) { macs.insert(entry.mac); });
  return macs;
}

TEST("a MAC is learned, moves, is forgotten") {
  Fdb table(kKey, 100);
  CHECK(!table.find(station(1)).has_value());
  CHECK_EQ(table.learn(station(1), host(1), 1'000).outcome, LearnOutcome::kNew);
  CHECK_EQ(table.learn(station(1), host(1), 1'001).outcome, LearnOutcome::kKnown);
  const auto moved = table.learn(station(1), host(2), 1'002);
  CHECK_EQ(moved.outcome, LearnOutcome::kMoved);
  CHECK(moved.previous == host(1));
  REQUIRE(table.find(station(1)).has_value());
  CHECK(table.find(station(1))->value == host(2));
  CHECK_EQ(table.size(), 1U);
  CHECK(table.erase(station(1)));
  CHECK(!table.erase(station(1)));
  CHECK(!table.find(station(1)).has_value());
  CHECK_EQ(table.size(), 0U);
}

TEST("learning does not change a pinned entry, vnetd does") {
  Fdb table(kKey, 100);
  CHECK_EQ(table.set(station(1), host(1), true, 0).outcome, LearnOutcome::kNew);
  CHECK_EQ(table.learn(station(1), host(2), 5'000).outcome, LearnOutcome::kPinned);
  CHECK_EQ(table.learn(station(1), host(1), 5'000).outcome, LearnOutcome::kKnown);
  CHECK(table.find(station(1))->value == host(1));
  CHECK(table.find(station(1))->pinned);
  CHECK_EQ(table.set(station(1), host(3), false, 6'000).outcome, LearnOutcome::kMoved);
  CHECK(!table.find(station(1))->pinned);
  CHECK_EQ(table.learn(station(1), host(2), 7'000).outcome, LearnOutcome::kMoved);
}

TEST("a table without values knows which MACs there are") {
  Vifs table(kKey, 100);
  CHECK_EQ(table.learn(station(7), {}, 0).outcome, LearnOutcome::kNew);
  CHECK_EQ(table.learn(station(7), {}, 1).outcome, LearnOutcome::kKnown);
  CHECK(table.find(station(7)).has_value());
  CHECK(!table.find(station(8)).has_value());
}

TEST("the entry heard longest ago makes room at the limit, never a pinned one") {
  Fdb table(kKey, 16);
  table.set(station(1000), host(1), true, 0);
  std::set<MacAddress> evicted;
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto result = table.learn(station(i), host(2), 1'000 + i * Fdb::kTouchMs);
    CHECK_EQ(result.outcome, LearnOutcome::kNew);
    CHECK_EQ(result.evicted.has_value(), i >= 15);
    if (result.evicted) {
      evicted.insert(*result.evicted);
    }
    CHECK(table.size() <= 16);
  }
  CHECK(table.find(station(1000)).has_value());
  CHECK(!evicted.contains(station(1000)));
  CHECK_EQ(evicted.size(), 500U - 15U);
}

TEST("a MAC that is heard all the time outlives a guest that sprays addresses") {
  Fdb table(kKey, 64);
  std::size_t lost = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const std::uint64_t nowMs = 1'000 + i * 10;
    for (std::uint64_t active = 0; active < 4; ++active) {
      lost += table.learn(station(active), host(1), nowMs).outcome == LearnOutcome::kNew ? 1U : 0U;
    }
    table.learn(station(1'000 + i), host(2), nowMs);
  }
  CHECK_EQ(lost, 4U);
}

TEST("a table full of pinned entries refuses, and changes nothing") {
  Fdb table(kKey, 8);
  for (std::uint64_t i = 0; i < 8; ++i) {
    table.set(station(i), host(1), true, 0);
  }
  CHECK_EQ(table.learn(station(100), host(2), 1).outcome, LearnOutcome::kRefused);
  CHECK_EQ(table.set(station(101), host(2), true, 1).outcome, LearnOutcome::kRefused);
  CHECK_EQ(table.size(), 8U);
  CHECK(!table.find(station(100)).has_value());
}

TEST("it grows to 100,000 MACs without losing one") {
  Quiescence quiescence;
  Reclaimer reclaimer(quiescence);
  Fdb table(kKey, 100'000);
  std::size_t evictedCount = 0;
  std::size_t growthCount = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const auto result = table.learn(station(i), host(i), 1'000);
    evictedCount += result.evicted ? 1U : 0U;
    if (result.growthWanted) {
      ++growthCount;
      grow(table, reclaimer);
    }
  }
  CHECK_EQ(evictedCount, 0U);
  CHECK_EQ(table.size(), 100'000U);
  CHECK_EQ(table.slotCount(), 262'144U);
  CHECK_EQ(growthCount, 6U);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const auto found = table.find(station(i));
    if (!found || found->value != host(i)) {
      test::reportFailure(__FILE__, __LINE__, "lost " + station(i).toText());
    }
  }
  CHECK_EQ(listed(table).size(), 100'000U);
  // One more makes room for itself.
  CHECK(table.learn(station(200'000), host(1), 2'000).evicted.has_value());
  CHECK_EQ(table.size(), 100'000U);
}

TEST("growth keeps pins, times and notices") {
  Quiescence quiescence;
  Reclaimer reclaimer(quiescence);
  Fdb table(kKey, 10'000);
  table.set(station(1), host(1), true, 1'234);
  CHECK(table.findAndUse(station(1), 2'345).has_value());
  table.sweep(Fdb::kSlotsMin, [](MacEntry<Endpoint>& entry) {
    entry.noticeMs = 77;
    return SweepVerdict::kKeep;
  });
  const std::size_t before = table.slotCount();
  for (std::uint32_t i = 2; table.slotCount() == before && i < 1'000; ++i) {
    if (table.learn(station(i), host(2), 1'300).growthWanted) {
      grow(table, reclaimer);
    }
  }
  CHECK(table.slotCount() > before);
  std::size_t seenCount = 0;
  table.forEach([&seenCount](const MacEntry<Endpoint>& entry) {
    if (entry.mac == station(1)) {
      ++seenCount;
      CHECK(entry.value == host(1));
      CHECK(entry.pinned);
      CHECK_EQ(entry.lastHeardMs, 1'234U);
      CHECK_EQ(entry.lastUsedMs, 2'345U);
      CHECK_EQ(entry.noticeMs, 77U);
    }
  });
  CHECK_EQ(seenCount, 1U);
}

TEST("sweeps of any budget show each entry once a pass, and erase what they are told to") {
  Quiescence quiescence;
  Reclaimer reclaimer(quiescence);
  Fdb table(kKey, 5'000);
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    if (table.learn(station(i), host(i), i).growthWanted) {
      grow(table, reclaimer);
    }
  }
  std::unordered_map<std::uint64_t, int> shown;
  const std::size_t budget = table.slotCount() / 50 + 1;
  const std::size_t calls = (table.slotCount() + budget - 1) / budget;
  for (std::size_t i = 0; i < calls; ++i) {
    table.sweep(budget, [&shown](MacEntry<Endpoint>& entry) {
      ++shown[entry.mac.toBits()];
      return entry.lastHeardMs % 2 == 0 ? SweepVerdict::kErase : SweepVerdict::kKeep;
    });
  }
  CHECK_EQ(shown.size(), 1'000U);
  CHECK_EQ(table.size(), 500U);
  CHECK(!table.find(station(2)).has_value());
  CHECK(table.find(station(3)).has_value());
  table.clear();
  CHECK_EQ(table.size(), 0U);
  CHECK(listed(table).empty());
}

TEST("times are written when they are a touch old") {
  Fdb table(kKey, 10);
  table.learn(station(1), host(1), 1'000);
  table.learn(station(1), host(1), 1'099);
  const auto heard = [&table] {
    std::uint64_t heardMs = 0;
    table.forEach([&heardMs](const MacEntry<Endpoint>& entry) { heardMs = entry.lastHeardMs; });
    return heardMs;
  };
  CHECK_EQ(heard(), 1'000U);
  table.learn(station(1), host(1), 1'100);
  CHECK_EQ(heard(), 1'100U);
}

// The model: a map, and the table's own word for what it evicted.
TEST("it does what a map does, whatever the order of operations") {
  std::mt19937_64 random(4711);
  for (const std::uint32_t limit : {1U, 7U, 40U, 500U, 3'000U}) {
    Quiescence quiescence;
    Reclaimer reclaimer(quiescence);
    Fdb table(HashKey{.first = random(), .second = random()}, limit);
    std::unordered_map<std::uint64_t, std::pair<Endpoint, bool>> model;
    for (std::uint64_t step = 0; step < 60'000; ++step) {
      const MacAddress mac = station(random() % (2 * limit + 3));
      const Endpoint value = host(static_cast<std::uint32_t>(random() % 5));
      const auto known = model.find(mac.toBits());
      const std::uint64_t kind = random() % 100;
      if (kind < 60) {
        const auto result = table.learn(mac, value, step);
        LearnOutcome expected = LearnOutcome::kNew;
        if (known != model.end()) {
          const bool isSame = known->second.first == value;
          const auto other = known->second.second ? LearnOutcome::kPinned : LearnOutcome::kMoved;
          expected = isSame ? LearnOutcome::kKnown : other;
        }
        if (result.evicted) {
          const auto victim = model.find(result.evicted->toBits());
          REQUIRE(victim != model.end());
          CHECK(!victim->second.second);
          model.erase(victim);
        }
        if (result.outcome != LearnOutcome::kRefused) {
          CHECK_EQ(result.outcome, expected);
          if (expected != LearnOutcome::kPinned) {
            const bool pinned = known != model.end() && model[mac.toBits()].second;
            model[mac.toBits()] = {value, pinned};
          }
        } else {
          CHECK_EQ(expected, LearnOutcome::kNew);
        }
      } else if (kind < 65) {
        const auto result = table.set(mac, value, kind == 60, step);
        if (result.evicted) {
          model.erase(result.evicted->toBits());
        }
        if (result.outcome != LearnOutcome::kRefused) {
          model[mac.toBits()] = {value, kind == 60};
        }
      } else if (kind < 80) {
        CHECK_EQ(table.erase(mac), model.erase(mac.toBits()) == 1);
      } else if (kind == 80) {
        grow(table, reclaimer);
      } else {
        const auto found = table.findAndUse(mac, step);
        REQUIRE(found.has_value() == (known != model.end()));
        if (found) {
          CHECK(found->value == known->second.first);
          CHECK_EQ(found->pinned, known->second.second);
        }
      }
      REQUIRE(table.size() == model.size());
    }
    CHECK_EQ(listed(table).size(), model.size());
    CHECK(table.size() <= limit);
  }
}

// Values are made so that half of one and half of another show: both halves of an IPv6 address and
// the port are one number.
Endpoint wholeValue(std::uint64_t number) {
  Endpoint value{.udpPort = static_cast<std::uint16_t>(number), .family = kFamilyIpv6};
  for (std::size_t i = 0; i < value.address.size(); ++i) {
    value.address.at(i) = static_cast<std::byte>(number >> (i % 2 == 0 ? 0U : 8U));
  }
  return value;
}

bool isWhole(const Endpoint& value) { return value == wholeValue(value.udpPort); }

// A writer that learns, moves, erases and grows, two readers and the control thread that frees.
TEST("readers see entries whole while the writer writes and the table grows") {
  constexpr std::uint64_t kMacs = 4'000;
  constexpr std::uint64_t kWrites = 400'000;
  Quiescence quiescence;
  Reclaimer reclaimer(quiescence);
  Fdb table(HashKey::random(), 3'000);
  std::atomic<bool> isDone{false};
  std::atomic<std::uint64_t> tornCount{0};
  std::atomic<std::uint64_t> foundCount{0};
  const MacAddress pinned = station(1U << 20U);
  table.set(pinned, wholeValue(42), true, 0);
  std::atomic<std::uint64_t> pinnedLostCount{0};

  std::thread reader([&] {
    std::mt19937_64 random(1);
    for (std::uint64_t round = 0; !isDone.load(std::memory_order_relaxed); ++round) {
      quiescence.active(Worker::kOutbound);
      for (int i = 0; i < 64; ++i) {
        if (const auto found = table.findAndUse(station(random() % kMacs), round)) {
          foundCount.fetch_add(1, std::memory_order_relaxed);
          tornCount.fetch_add(isWhole(found->value) ? 0U : 1U, std::memory_order_relaxed);
        }
      }
      const auto always = table.find(pinned);
      const bool isThere = always && always->value == wholeValue(42) && always->pinned;
      pinnedLostCount.fetch_add(isThere ? 0U : 1U, std::memory_order_relaxed);
    }
    quiescence.idle(Worker::kOutbound);
  });
  std::thread control([&] {
    while (!isDone.load(std::memory_order_relaxed)) {
      table.maintain(reclaimer);
      reclaimer.reclaim();
      table.forEach([&](const MacEntry<Endpoint>& entry) {
        tornCount.fetch_add(isWhole(entry.value) ? 0U : 1U, std::memory_order_relaxed);
      });
      std::this_thread::yield();
    }
  });

  std::mt19937_64 random(2);
  for (std::uint64_t i = 0; i < kWrites; ++i) {
    if (i % 64 == 0) {
      quiescence.active(Worker::kInbound);
      table.adoptGrowth();
    }
    const MacAddress mac = station(random() % kMacs);
    if (random() % 8 == 0) {
      table.erase(mac);
    } else {
      table.learn(mac, wholeValue(random() % 65'536), i);
    }
  }
  quiescence.idle(Worker::kInbound);
  isDone.store(true);
  reader.join();
  control.join();
  CHECK_EQ(tornCount.load(), 0U);
  CHECK_EQ(pinnedLostCount.load(), 0U);
  CHECK(foundCount.load() > 0);
  CHECK(table.slotCount() > Fdb::kSlotsMin);
}

// Few MACs and nothing but moves: the reader meets half-written entries all the time.
TEST("a reader never sees half of one value and half of another") {
  constexpr std::uint64_t kMacs = 2;
  constexpr std::uint64_t kReads = 1'000'000;
  Fdb table(HashKey::random(), 10);
  std::atomic<bool> isDone{false};
  std::atomic<bool> isStarted{false};
  std::thread writer([&] {
    for (std::uint64_t i = 0; !isDone.load(std::memory_order_relaxed); ++i) {
      table.learn(station(i % kMacs), wholeValue(i % 65'536), 0);
      isStarted.store(i > kMacs, std::memory_order_release);
    }
  });
  while (!isStarted.load(std::memory_order_acquire)) {
    std::this_thread::yield();
  }
  std::uint64_t tornCount = 0;
  std::uint64_t foundCount = 0;
  for (std::uint64_t i = 0; i < kReads; ++i) {
    if (const auto found = table.find(station(i % kMacs))) {
      ++foundCount;
      tornCount += isWhole(found->value) ? 0U : 1U;
    }
  }
  isDone.store(true);
  writer.join();
  CHECK_EQ(tornCount, 0U);
  CHECK(foundCount > kReads / 2);
}

TEST("nothing is freed while a worker may hold it") {
  struct Probe {
    explicit Probe(int& freedCount) : freed(freedCount) {}
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    Probe(Probe&&) = delete;
    Probe& operator=(Probe&&) = delete;
    ~Probe() { ++freed; }
    int& freed;
  };
  int freedCount = 0;
  Quiescence quiescence;
  {
    Reclaimer reclaimer(quiescence);
    quiescence.active(Worker::kInbound);
    reclaimer.retire(std::make_unique<Probe>(freedCount).release());
    CHECK_EQ(reclaimer.reclaim(), 1U);
    CHECK_EQ(freedCount, 0);
    quiescence.active(Worker::kInbound);
    CHECK_EQ(reclaimer.reclaim(), 0U);
    CHECK_EQ(freedCount, 1);
    reclaimer.retire(std::make_unique<Probe>(freedCount).release());
    quiescence.idle(Worker::kInbound);
    CHECK_EQ(reclaimer.reclaim(), 0U);
    CHECK_EQ(freedCount, 2);
    quiescence.active(Worker::kOutbound);
    reclaimer.retire(std::make_unique<Probe>(freedCount).release());
    CHECK_EQ(reclaimer.reclaim(), 1U);
  }
  CHECK_EQ(freedCount, 3);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
