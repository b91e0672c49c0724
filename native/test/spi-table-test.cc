#include "tables/spi-table.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "test/check.h"

namespace vnetd {
namespace {

struct TestSa {
  std::uint32_t spi = 0;
  int number = 0;
};

using Table = SpiTable<TestSa>;

constexpr HashKey kKey{.first = 0x0123'4567'89AB'CDEF, .second = 0x0F1E'2D3C'4B5A'6978};

std::unique_ptr<TestSa> makeSa(std::uint32_t spi, int number) {
  return std::make_unique<TestSa>(TestSa{.spi = spi, .number = number});
}

std::vector<int> numbersOf(const Table& table, std::uint32_t spi) {
  std::vector<int> numbers;
  const Table::Candidates found = table.find(spi);
  for (const TestSa* const sa : found.all()) {
    CHECK_EQ(sa->spi, spi);
    numbers.push_back(sa->number);
  }
  return numbers;
}

TEST("one SPI has several SAs, and no more than can be tried") {
  Table table(kKey);
  for (int number = 0; number < static_cast<int>(Table::kSasPerSpi); ++number) {
    CHECK(table.insert(makeSa(7, number)));
  }
  CHECK(!table.insert(makeSa(7, 99)));
  CHECK(table.insert(makeSa(8, 1)));
  CHECK(numbersOf(table, 7) == std::vector({0, 1, 2, 3, 4, 5, 6, 7}));
  CHECK(numbersOf(table, 8) == std::vector({1}));
  CHECK(numbersOf(table, 9).empty());
  CHECK_EQ(table.size(), Table::kSasPerSpi + 1);
}

TEST("what is taken out is gone, and given back") {
  Table table(kKey);
  CHECK(table.insert(makeSa(7, 1)));
  CHECK(table.insert(makeSa(7, 2)));
  const TestSa* const first = table.find(7).sas[0];
  const std::unique_ptr<TestSa> taken = table.erase(first);
  REQUIRE(taken != nullptr);
  CHECK_EQ(taken->number, 1);
  CHECK(numbersOf(table, 7) == std::vector({2}));
  CHECK(table.erase(taken.get()) == nullptr);
  CHECK_EQ(table.size(), 1U);
}

TEST("a long random history agrees with a map") {
  Table table(kKey);
  std::multimap<std::uint32_t, int> model;
  std::mt19937 random(11);  // NOLINT(*-msc51-cpp): the same history each time.
  for (int step = 0; step < 60'000; ++step) {
    const std::uint32_t spi = 0x1000'0000U + static_cast<std::uint32_t>(random() % 600U);
    if (random() % 5U < 3U) {
      const bool hasRoom = model.count(spi) < Table::kSasPerSpi;
      CHECK_EQ(table.insert(makeSa(spi, step)), hasRoom);
      if (hasRoom) {
        model.emplace(spi, step);
      }
    } else if (const Table::Candidates found = table.find(spi); found.count != 0) {
      const std::unique_ptr<TestSa> taken = table.erase(found.sas.at(random() % found.count));
      REQUIRE(taken != nullptr);
      const auto [from, to] = model.equal_range(spi);
      const auto place =
          std::find_if(from, to, [&](const auto& entry) { return entry.second == taken->number; });
      REQUIRE(place != to);
      model.erase(place);
    }
    CHECK_EQ(table.size(), model.size());
    std::vector<int> numbers = numbersOf(table, spi);
    std::vector<int> expected;
    const auto [from, to] = model.equal_range(spi);
    std::transform(from, to, std::back_inserter(expected),
                   [](const auto& entry) { return entry.second; });
    std::ranges::sort(numbers);
    std::ranges::sort(expected);
    CHECK(numbers == expected);
  }
  std::size_t visited = 0;
  table.forEach([&](const TestSa& /*sa*/) { ++visited; });
  CHECK_EQ(visited, model.size());
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
