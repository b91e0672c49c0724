#include "options.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace vnetd {

Options::Options(int count, char** words) {
  const std::vector<std::string_view> all(words, words + count);
  for (std::size_t index = 0; index < all.size(); ++index) {
    if (!all[index].starts_with("--")) {
      words_.emplace_back(all[index]);
      continue;
    }
    const bool hasValue = index + 1 < all.size() && !all[index + 1].starts_with("--");
    named_[std::string(all[index].substr(2))] = hasValue ? std::string(all[index + 1]) : "";
    index += hasValue ? 1 : 0;
  }
}

bool Options::has(std::string_view name) const { return named_.find(name) != named_.end(); }

std::string Options::text(std::string_view name, std::string_view fallback) const {
  const auto found = named_.find(name);
  return found == named_.end() ? std::string(fallback) : found->second;
}

std::uint64_t Options::number(std::string_view name, std::uint64_t fallback) const {
  const auto found = named_.find(name);
  if (found == named_.end()) {
    return fallback;
  }
  const std::string& text = found->second;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail("--" + std::string(name), "not a number (" + text + ")");
  }
  return value;
}

const std::string& Options::word(std::size_t index) const {
  if (index >= words_.size()) {
    fail("usage", "a word is missing; see the head of native/test-tools/vnet-frames.cc");
  }
  return words_[index];
}

void fail(std::string_view what, std::string_view why) {
  (void)std::fprintf(stderr, "vnet-frames: %.*s: %.*s\n", static_cast<int>(what.size()),
                     what.data(), static_cast<int>(why.size()), why.data());
  std::_Exit(1);
}

void failErrno(std::string_view what) { fail(what, std::generic_category().message(errno)); }

}  // namespace vnetd
