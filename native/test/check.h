// What a test executable needs: claims that can fail, and a count of them.
//
//   TEST("an odd last octet counts as the high half") { CHECK_EQ(sumBytes(x), 0x0100); }
//   VNETD_TEST_MAIN()
//
// A failed check prints where and what, and the test goes on; the executable then exits 1.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace vnetd::test {

struct TestCase {
  const char* claim;
  void (*run)();
};

inline std::vector<TestCase>& testCases() {
  static std::vector<TestCase> cases;
  return cases;
}

inline bool addTest(const char* claim, void (*run)()) {
  testCases().push_back({claim, run});
  return true;
}

inline int& failedChecks() {
  static int count = 0;
  return count;
}

template <typename Value>
std::string show(const Value& value) {
  std::ostringstream text;
  if constexpr (std::is_enum_v<Value>) {
    text << static_cast<long long>(value);
  } else if constexpr (std::is_same_v<Value, bool>) {
    text << (value ? "true" : "false");
  } else if constexpr (std::is_integral_v<Value>) {
    text << +value << " (0x" << std::hex << +value << ")";
  } else if constexpr (requires { text << value; }) {
    text << value;
  } else {
    text << "(a value that cannot be printed)";
  }
  return text.str();
}

inline void reportFailure(const char* file, int line, const std::string& what) {
  ++failedChecks();
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

template <typename Actual, typename Expected>
bool checkEqual(const Actual& actual, const Expected& expected, const char* text, const char* file,
                int line) {
  bool equal = false;
  if constexpr (std::is_integral_v<Actual> && std::is_integral_v<Expected> &&
                !std::is_same_v<Actual, bool> && !std::is_same_v<Expected, bool>) {
    equal = std::cmp_equal(actual, expected);
  } else {
    equal = actual == expected;
  }
  if (!equal) {
    reportFailure(file, line,
                  std::string(text) + ": is " + show(actual) + ", expected " + show(expected));
  }
  return equal;
}

inline int runTests() {
  int passedCount = 0;
  int failedCount = 0;
  for (const TestCase& testCase : testCases()) {
    const int before = failedChecks();
    testCase.run();
    if (failedChecks() == before) {
      ++passedCount;
    } else {
      ++failedCount;
      std::fprintf(stderr, "FAILED: %s\n", testCase.claim);
    }
  }
  std::printf("%d passed, %d failed\n", passedCount, failedCount);
  return failedCount == 0 && passedCount > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace vnetd::test

#define VNETD_TEST_NAME2(line) testAtLine##line
#define VNETD_TEST_NAME(line) VNETD_TEST_NAME2(line)
#define VNETD_TEST_ADDED2(line) addedAtLine##line
#define VNETD_TEST_ADDED(line) VNETD_TEST_ADDED2(line)

// One claim, in the present tense.
#define TEST(claim)                                               \
  static void VNETD_TEST_NAME(__LINE__)();                        \
  [[maybe_unused]] static const bool VNETD_TEST_ADDED(__LINE__) = \
      ::vnetd::test::addTest((claim), VNETD_TEST_NAME(__LINE__)); \
  static void VNETD_TEST_NAME(__LINE__)()

#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) {                                                          \
      ::vnetd::test::reportFailure(__FILE__, __LINE__, "not true: " #condition); \
    }                                                                            \
  } while (false)

#define CHECK_EQ(actual, expected) \
  static_cast<void>(::vnetd::test::checkEqual((actual), (expected), #actual, __FILE__, __LINE__))

// Ends this test when it does not hold: what follows would read out of bounds.
#define REQUIRE(condition)                                                       \
  do {                                                                           \
    if (!(condition)) {                                                          \
      ::vnetd::test::reportFailure(__FILE__, __LINE__, "not true: " #condition); \
      return;                                                                    \
    }                                                                            \
  } while (false)

#define VNETD_TEST_MAIN() \
  int main() { return ::vnetd::test::runTests(); }
