#include "notify/call.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>

namespace vnetd::notify {
namespace {

constexpr std::uint32_t kDeadlineMsMax = 600'000;

Call wrong(std::string_view what, std::string_view word) {
  Call call;
  call.message = what;
  call.message += ": ";
  call.message += word;
  return call;
}

std::optional<std::uint32_t> parseNumber(std::string_view text) {
  std::uint32_t number = 0;
  const char* end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, number);
  const bool whole = result.ec == std::errc() && result.ptr == end;
  return whole ? std::optional(number) : std::nullopt;
}

bool isKey(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
  });
}

void appendKey(std::string& fields, std::string_view key) {
  if (!fields.empty()) {
    fields += ',';
  }
  fields += '"';
  fields += key;
  fields += "\":";
}

// `KEY=TEXT`, `KEY:=NUMBER` or `KEY@`. False: it is none of them.
bool takeField(Call& call, std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) {
    const bool readsInput = word.ends_with('@') && isKey(word.substr(0, word.size() - 1));
    if (readsInput && call.inputKey.empty()) {
      call.inputKey = word.substr(0, word.size() - 1);
      return true;
    }
    return false;
  }
  const std::string_view value = word.substr(equals + 1);
  std::string_view key = word.substr(0, equals);
  const bool isNumber = key.ends_with(':');
  if (isNumber) {
    key.remove_suffix(1);
  }
  if (!isKey(key)) {
    return false;
  }
  if (!isNumber) {
    appendField(call.fields, key, value);
    return true;
  }
  const std::optional<std::uint32_t> number = parseNumber(value);
  if (!number) {
    return false;
  }
  appendKey(call.fields, key);
  call.fields += std::to_string(*number);
  return true;
}

bool isPath(std::string_view word) {
  return word.starts_with('/') &&
         std::ranges::all_of(word, [](char letter) { return letter > ' ' && letter <= '~'; });
}

void appendUtf8(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0U | (code >> 6U));
    text += static_cast<char>(0x80U | (code & 0x3fU));
  } else {
    text += static_cast<char>(0xe0U | (code >> 12U));
    text += static_cast<char>(0x80U | ((code >> 6U) & 0x3fU));
    text += static_cast<char>(0x80U | (code & 0x3fU));
  }
}

// What stands behind a backslash at the front of `rest`, which is consumed.
void appendEscaped(std::string& text, std::string_view& rest) {
  const char letter = rest.front();
  rest.remove_prefix(1);
  if (letter == 'u' && rest.size() >= 4) {
    std::uint32_t code = 0;
    std::from_chars(rest.data(), rest.data() + 4, code, 16);
    rest.remove_prefix(4);
    appendUtf8(text, code);
  } else {
    const bool isControl = letter == 'n' || letter == 'r' || letter == 't' || letter == 'b';
    text += isControl ? ' ' : letter;
  }
}

// The JSON string behind `"message":`. The daemon writes it on one line, as its second key.
std::string readMessage(std::string_view body) {
  constexpr std::string_view kKey = R"("message":")";
  const std::size_t at = body.find(kKey);
  std::string message;
  if (at == std::string_view::npos) {
    return message;
  }
  std::string_view rest = body.substr(at + kKey.size());
  while (!rest.empty() && rest.front() != '"') {
    const char letter = rest.front();
    rest.remove_prefix(1);
    if (letter == '\\' && !rest.empty()) {
      appendEscaped(message, rest);
    } else {
      message += letter;
    }
  }
  return message;
}

// The number behind `Content-Length:`, in any case of letters; none: the body ends with the line.
std::optional<std::uint32_t> contentLength(std::string_view head) {
  std::string lower(head);
  std::ranges::transform(lower, lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  constexpr std::string_view kHeader = "\r\ncontent-length:";
  const std::size_t at = lower.find(kHeader);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  const std::size_t from = lower.find_first_not_of(' ', at + kHeader.size());
  const std::size_t to = lower.find_first_of("\r ", from);
  return from == std::string::npos ? std::nullopt : parseNumber(lower.substr(from, to - from));
}

}  // namespace

Call parseCall(std::span<const char* const> arguments) {
  Call call;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    const bool hasValue = i + 1 < arguments.size();
    if (word == "-h" || word == "--help") {
      call.kind = Call::Kind::kHelp;
      return call;
    }
    if (word == "--get") {
      call.isGet = true;
    } else if (word == "--run-dir" && hasValue) {
      call.runDirectory = arguments[++i];
    } else if (word == "--deadline-ms" && hasValue) {
      const std::optional<std::uint32_t> number = parseNumber(arguments[++i]);
      if (!number || *number == 0 || *number > kDeadlineMsMax) {
        return wrong("not milliseconds (1…600000)", arguments[i]);
      }
      call.deadlineMs = *number;
    } else if (call.path.empty()) {
      if (!isPath(word)) {
        return wrong("not a path of the API", word);
      }
      call.path = word;
    } else if (!takeField(call, word)) {
      return wrong("not KEY=TEXT, KEY:=NUMBER or KEY@", word);
    }
  }
  if (call.path.empty()) {
    return wrong("no path of the API is given", "see --help");
  }
  if (call.isGet && (!call.fields.empty() || !call.inputKey.empty())) {
    return wrong("--get posts no fields", call.path);
  }
  call.kind = Call::Kind::kCall;
  return call;
}

const char* usageText() {
  return "usage: vn-notify [--run-dir DIR] [--deadline-ms N] PATH [KEY=TEXT|KEY:=NUMBER|KEY@]…\n"
         "       vn-notify [--run-dir DIR] [--deadline-ms N] --get PATH\n"
         "\n"
         "Posts a JSON object to vnetd's socket, for hotplug scripts. KEY@ takes standard input.\n"
         "With --get it prints what stands at PATH, for the completion of shells.\n"
         "\n"
         "  --run-dir DIR     where vnetd.sock is (VNETD_RUN_DIR, else /run/vnetd)\n"
         "  --deadline-ms N   how long all of it may take (10000)\n"
         "\n"
         "Exit status: 0 done; 1 the operation failed, or took too long; 2 wrong usage or bad\n"
         "input, nothing was changed; 3 no daemon reachable.\n";
}

void appendField(std::string& fields, std::string_view key, std::string_view value) {
  appendKey(fields, key);
  fields += '"';
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  for (const char letter : value) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      fields += '\\';
      fields += letter;
    } else if (code < 0x20) {
      fields += "\\u00";
      fields += kHexDigits[code >> 4U];
      fields += kHexDigits[code & 0xfU];
    } else {
      fields += letter;
    }
  }
  fields += '"';
}

std::string formatRequest(const Call& call) {
  std::string request = call.isGet ? "GET " : "POST ";
  request += call.path;
  request += " HTTP/1.1\r\nHost: vnetd\r\nConnection: close\r\n";
  if (call.isGet) {
    request += "\r\n";
    return request;
  }
  request += "Content-Type: application/json\r\nContent-Length: ";
  request += std::to_string(call.fields.size() + 2);
  request += "\r\n\r\n{";
  request += call.fields;
  request += '}';
  return request;
}

Reply parseReply(std::string_view bytes) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::size_t kStatusDigits = 3;
  const std::size_t headBytes = bytes.find("\r\n\r\n");
  Reply reply;
  if (!bytes.starts_with(kVersion) || headBytes == std::string_view::npos) {
    return reply;
  }
  const std::string_view body = bytes.substr(headBytes + 4);
  const std::optional<std::uint32_t> bodyBytes = contentLength(bytes.substr(0, headBytes + 2));
  const std::optional<std::uint32_t> status =
      parseNumber(bytes.substr(kVersion.size(), kStatusDigits));
  if (!status || (bodyBytes && body.size() != *bodyBytes)) {
    return reply;
  }
  reply.status = static_cast<int>(*status);
  if (reply.status >= 300) {
    reply.message = readMessage(body);
  } else {
    reply.body = body;
  }
  return reply;
}

}  // namespace vnetd::notify
