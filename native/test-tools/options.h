// The command line of a test tool: `--name value`, `--flag`, and positional words.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vnetd {

class Options {
 public:
  Options(int count, char** words);

  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name, std::string_view fallback) const;
  // Ends the program with a message when the value is not a number.
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t fallback) const;
  // Ends the program with a message when the word is missing.
  [[nodiscard]] const std::string& word(std::size_t index) const;
  [[nodiscard]] std::size_t wordCount() const { return words_.size(); }

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::string, std::less<>> named_;
};

// Prints `vnet-frames: what: why` and exits 1. These are test tools: a failure at set-up must be
// loud and final.
[[noreturn]] void fail(std::string_view what, std::string_view why);
// The same with the text of errno.
[[noreturn]] void failErrno(std::string_view what);

}  // namespace vnetd
