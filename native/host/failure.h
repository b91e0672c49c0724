// Why a start-up step or a command could not be done: an errno for vnetd, a sentence for a person.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace vnetd {

struct Failure {
  // 0: no failure.
  int error = 0;
  // What was tried, why it failed and what to do, without a full stop.
  std::string message;

  [[nodiscard]] bool failed() const { return error != 0; }
};

inline Failure noFailure() { return {}; }

// "what: Permission denied", with the errno of the call that has just failed.
inline Failure failureOf(std::string what, int error = errno) {
  what += ": ";
  what += std::generic_category().message(error);
  return Failure{.error = error, .message = std::move(what)};
}

}  // namespace vnetd
