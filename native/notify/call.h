// One call of vnetd's control API as bytes: what a hotplug script's words become, and what of the
// answer a person is told. No I/O here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vnetd::notify {

struct Call {
  enum class Kind { kCall, kHelp, kWrong };
  Kind kind = Kind::kWrong;
  // For kWrong: what is wrong, one line.
  std::string message;
  // Empty: the environment or the default says.
  std::string runDirectory;
  std::uint32_t deadlineMs = 10'000;
  std::string path;
  // The path is read, and what it answers is printed; nothing is posted.
  bool isGet = false;
  // The fields of the JSON object so far, without its braces.
  std::string fields;
  // The key whose value is all of standard input; empty: it is not read.
  std::string inputKey;
};

// `arguments`: without the program's name.
Call parseCall(std::span<const char* const> arguments);

// What `--help` prints.
const char* usageText();

// Appends `"key":"value"`, with a comma when something stands before it. The bytes of the value
// are not looked at: the daemon refuses what is no UTF-8.
void appendField(std::string& fields, std::string_view key, std::string_view value);

// The request as it goes out (RFC 9112), for a connection that ends with its answer.
std::string formatRequest(const Call& call);

struct Reply {
  // 0: what came is no whole answer.
  int status = 0;
  // The message of an error, one line; empty when there is none.
  std::string message;
  // What a GET asked for; empty for an error.
  std::string body;
};

Reply parseReply(std::string_view bytes);

}  // namespace vnetd::notify
