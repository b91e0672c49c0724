#include "hex-lines.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "options.h"

namespace vnetd {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kReadBytes = 262'144;

int digitValue(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  return -1;
}

}  // namespace

std::optional<Octets> decodeHex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return std::nullopt;
  }
  Octets octets;
  octets.reserve(text.size() / 2);
  for (std::size_t index = 0; index < text.size(); index += 2) {
    const int high = digitValue(text[index]);
    const int low = digitValue(text[index + 1]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    octets.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return octets;
}

void appendHex(std::span<const std::byte> octets, std::string& out) {
  out.reserve(out.size() + octets.size() * 2 + 1);
  for (const std::byte octet : octets) {
    out.push_back(kDigits[std::to_integer<std::size_t>(octet >> 4)]);
    out.push_back(kDigits[std::to_integer<std::size_t>(octet & std::byte{15})]);
  }
}

std::vector<std::string_view> splitWords(std::string_view line) {
  std::vector<std::string_view> words;
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    if (end > at) {
      words.push_back(line.substr(at, end - at));
    }
    at = end + 1;
  }
  return words;
}

void writeOut(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      std::_Exit(0);
    } else if (errno != EINTR) {
      failErrno("standard output");
    }
  }
}

bool LineInput::fill() {
  chunk_.resize(kReadBytes);
  const ssize_t count = read(STDIN_FILENO, chunk_.data(), chunk_.size());
  if (count < 0 && errno != EINTR && errno != EAGAIN) {
    failErrno("standard input");
  }
  if (count > 0) {
    buffer_.append(chunk_.data(), static_cast<std::size_t>(count));
  }
  return count != 0;
}

bool LineInput::next(std::string& line) {
  const std::size_t end = buffer_.find('\n', taken_);
  if (end == std::string::npos) {
    buffer_.erase(0, taken_);
    taken_ = 0;
    return false;
  }
  line = buffer_.substr(taken_, end - taken_);
  taken_ = end + 1;
  return true;
}

}  // namespace vnetd
