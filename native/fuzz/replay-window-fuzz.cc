// The ring against a model that remembers every counter.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "fuzz/fuzz-input.h"
#include "tables/replay-window.h"

namespace vnetd {
namespace {

using Verdict = ReplayWindow::Verdict;

constexpr std::size_t kStepsMax = 400;

class Model {
 public:
  explicit Model(std::uint64_t seenUpTo) : floor_(seenUpTo), highest_(seenUpTo) {}

  [[nodiscard]] std::uint64_t highest() const { return highest_; }

  [[nodiscard]] Verdict accept(std::uint64_t counter) {
    if (counter <= floor_ ||
        (counter < highest_ && highest_ - counter >= ReplayWindow::kWindowPackets)) {
      return Verdict::kTooOld;
    }
    if (std::ranges::find(seen_, counter) != seen_.end()) {
      return Verdict::kReplayed;
    }
    seen_.push_back(counter);
    highest_ = std::max(highest_, counter);
    return Verdict::kFresh;
  }

 private:
  std::uint64_t floor_;
  std::uint64_t highest_;
  std::vector<std::uint64_t> seen_;
};

std::uint64_t u64(fuzz::FuzzInput& input) {
  std::uint64_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = value << 16U | input.u16();
  }
  return value;
}

}  // namespace
}  // namespace vnetd

// Each step is an octet that says from where and how far: around the highest counter, at the
// window's end, at the borders of words, or anywhere.
// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using vnetd::ReplayWindow;
  vnetd::fuzz::FuzzInput input(data, size);
  const std::uint64_t start = input.u8() % 2 == 0 ? 0 : vnetd::u64(input);
  ReplayWindow window(start);
  vnetd::Model model(start);
  for (std::size_t step = 0; step < vnetd::kStepsMax && !input.isEmpty(); ++step) {
    const std::uint8_t choice = input.u8();
    std::uint64_t counter = window.highest();
    switch (choice % 8) {
      case 0:
        counter += choice / 8;
        break;
      case 1:
        counter -= choice / 8;
        break;
      case 2:
        counter -= ReplayWindow::kWindowPackets - 16 + choice / 8;
        break;
      case 3:
        counter += ReplayWindow::kWindowPackets - 16 + choice / 8;
        break;
      case 4:
        counter += input.u16();
        break;
      case 5:
        counter -= input.u16();
        break;
      case 6:
        counter = (counter | 63U) + 1 - choice / 8 % 3;
        break;
      default:
        counter = vnetd::u64(input);
    }
    const ReplayWindow::Verdict expected = model.accept(counter);
    vnetd::fuzz::require(window.check(counter) == expected, "the question gets the model's answer");
    vnetd::fuzz::require(window.accept(counter) == expected, "and so does the telling");
    vnetd::fuzz::require(window.check(counter) != ReplayWindow::Verdict::kFresh,
                         "nothing told is fresh again");
    vnetd::fuzz::require(window.highest() == model.highest(), "the highest is the model's");
  }
  return 0;
}
