// Lines of words and hex on standard input and output: how a test speaks with its tools.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vnetd {

using Octets = std::vector<std::byte>;

std::optional<Octets> decodeHex(std::string_view text);
void appendHex(std::span<const std::byte> octets, std::string& out);
std::vector<std::string_view> splitWords(std::string_view line);

// Writes all of it to standard output; exits 0 when the reader has gone.
void writeOut(std::string_view text);

// Cuts what arrives on standard input into lines.
class LineInput {
 public:
  // Reads what is there; false at the end of the input.
  bool fill();
  // The next whole line, without its end; false when there is none yet.
  bool next(std::string& line);

 private:
  std::string buffer_;
  std::size_t taken_ = 0;  // octets of it that were given out as lines
  std::vector<char> chunk_;
};

}  // namespace vnetd
