// Both codecs, this one and src/dataplane/codec.ts, are held to
// test/vectors/dataplane-messages.tsv.
#include "control/messages.h"

#include <concepts>
#include <set>
#include <string>
#include <vector>

#include "test/check.h"
#include "test/vector-table.h"

namespace vnetd::control {
namespace {

using test::parseHex;
using test::printHex;

// Fields as the table prints them: JSON without spaces. The vectors have no text to be escaped.
std::string quote(const std::string& text) { return '"' + text + '"'; }
template <std::unsigned_integral Value>
std::string print(Value value) {
  if constexpr (std::is_same_v<Value, bool>) {
    return value ? "true" : "false";
  } else {
    // JSON's numbers do not hold 64 bits.
    return sizeof value == 8 ? quote(std::to_string(value)) : std::to_string(value);
  }
}
std::string print(const MacAddress& value) { return quote(value.toText()); }
std::string print(const VnetId& value) { return quote(value.toText()); }
std::string print(const IpAddress& value) {
  return value.isNone() ? "null" : quote(value.toText());
}
std::string print(const Endpoint& value) { return value.isNone() ? "null" : quote(value.toText()); }
std::string print(const InterfaceName& value) { return quote(std::string(value.view())); }
std::string print(const std::string& value) { return quote(value); }
std::string print(const std::vector<std::byte>& value) { return quote(printHex(value)); }
std::string print(const Secret& value) { return quote(printHex(value)); }

template <class Element>
std::string print(const std::vector<Element>& values) {
  std::string text = "[";
  for (const Element& value : values) {
    text += (text.size() == 1 ? "" : ",") + print(value);
  }
  return text + "]";
}

std::string join(const std::vector<std::string>& fields) {
  std::string text = "{";
  for (const std::string& field : fields) {
    text += (text.size() == 1 ? "" : ",") + field;
  }
  return text + "}";
}

std::string printFields(const std::monostate& /*none*/) { return "none"; }

#define VNETD_FIELD(type, fieldName) quote(#fieldName) + ":" + print(message.fieldName),
#define VNETD_MESSAGE(Name, number, FIELDS)                       \
  std::string printFields([[maybe_unused]] const Name& message) { \
    return join(std::vector<std::string>{FIELDS});                \
  }
#include "control/messages.def"
#undef VNETD_MESSAGE
#undef VNETD_FIELD

std::string printMessage(const Message& message) {
  return std::visit([](const auto& any) { return printFields(any); }, message);
}

std::uint16_t numberOf(const Message& message) {
  return std::visit(
      [](const auto& any) -> std::uint16_t {
        if constexpr (std::is_same_v<std::decay_t<decltype(any)>, std::monostate>) {
          return 0;
        } else {
          return any.kNumber;
        }
      },
      message);
}

std::string kebabCase(std::string_view name) {
  std::string text;
  for (const char letter : name) {
    const bool isUpper = letter >= 'A' && letter <= 'Z';
    text += isUpper && !text.empty() ? "-" : "";
    text += isUpper ? static_cast<char>(letter - 'A' + 'a') : letter;
  }
  return text;
}

std::vector<std::byte> encodeToVector(std::uint32_t sequence, const Message& message) {
  std::vector<std::byte> out(kMessageBytesMax + 1);
  out.resize(encodeAnyMessage(out, sequence, message));
  return out;
}

TEST("each vector is read as its row says and written again octet for octet") {
  const auto rows = test::readVectors("dataplane-messages.tsv");
  REQUIRE(!rows.empty());
  for (const auto& row : rows) {
    const auto octets = parseHex(row.at("octets"));
    const DecodedMessage decoded = decodeMessage(octets);
    const bool isRight = decoded.status == DecodeStatus::kMessage &&
                         decoded.consumedBytes == octets.size() &&
                         std::to_string(decoded.sequence) == row.at("sequence") &&
                         kebabCase(messageName(numberOf(decoded.message))) == row.at("kind") &&
                         printMessage(decoded.message) == row.at("fields");
    if (!isRight) {
      test::reportFailure(__FILE__, __LINE__,
                          row.at("name") + ": is " + printMessage(decoded.message));
    }
    CHECK_EQ(printHex(encodeToVector(decoded.sequence, decoded.message)), row.at("octets"));
  }
}

TEST("there is a vector of every message") {
  std::set<std::string> kinds;
  for (const auto& row : test::readVectors("dataplane-messages.tsv")) {
    kinds.insert(row.at("kind"));
  }
  CHECK_EQ(kinds.size(), std::variant_size_v<Message> - 1);
}

TEST("each malformed vector is refused") {
  const auto rows = test::readVectors("dataplane-messages-malformed.tsv");
  REQUIRE(!rows.empty());
  for (const auto& row : rows) {
    const DecodedMessage decoded = decodeMessage(parseHex(row.at("octets")));
    if (decoded.status != DecodeStatus::kMalformed || decoded.consumedBytes != 0 ||
        numberOf(decoded.message) != 0) {
      test::reportFailure(__FILE__, __LINE__, row.at("name") + ": was not refused");
    }
  }
}

TEST("a message that is not whole yet uses nothing up") {
  for (const auto& row : test::readVectors("dataplane-messages.tsv")) {
    const auto octets = parseHex(row.at("octets"));
    for (std::size_t length = 0; length < octets.size(); ++length) {
      const std::vector<std::byte> cut(octets.begin(),
                                       octets.begin() + static_cast<std::ptrdiff_t>(length));
      const DecodedMessage decoded = decodeMessage(cut);
      CHECK_EQ(decoded.status, DecodeStatus::kNeedMore);
      CHECK_EQ(decoded.consumedBytes, 0U);
    }
  }
}

TEST("messages are taken off a stream one after the other") {
  std::vector<std::byte> stream;
  const auto rows = test::readVectors("dataplane-messages.tsv");
  for (const auto& row : rows) {
    const auto octets = parseHex(row.at("octets"));
    stream.insert(stream.end(), octets.begin(), octets.end());
  }
  std::span<const std::byte> rest(stream);
  std::size_t count = 0;
  while (!rest.empty()) {
    const DecodedMessage decoded = decodeMessage(rest);
    REQUIRE(decoded.status == DecodeStatus::kMessage);
    rest = rest.subspan(decoded.consumedBytes);
    ++count;
  }
  CHECK_EQ(count, rows.size());
}

TEST("a message that does not fit is not written") {
  for (const auto& row : test::readVectors("dataplane-messages.tsv")) {
    const auto octets = parseHex(row.at("octets"));
    const DecodedMessage decoded = decodeMessage(octets);
    std::vector<std::byte> small(octets.size() - 1);
    CHECK_EQ(encodeAnyMessage(small, decoded.sequence, decoded.message), 0U);
    std::vector<std::byte> just(octets.size());
    CHECK_EQ(encodeAnyMessage(just, decoded.sequence, decoded.message), octets.size());
  }
  CHECK_EQ(encodeAnyMessage({}, 1, Message{}), 0U);
}

TEST("a list longer than its count can say is not written") {
  std::vector<std::byte> out(kMessageBytesMax);
  CHECK_EQ(
      encodeMessage(out, 0, Counters{.vnet = {}, .values = std::vector<std::uint64_t>(65'535)}),
      12U + 16U + 2U + 8U * 65'535U);
  CHECK_EQ(
      encodeMessage(out, 0, Counters{.vnet = {}, .values = std::vector<std::uint64_t>(65'536)}),
      0U);
  CHECK_EQ(encodeMessage(out, 0, Log{.level = 0, .text = std::string(65'536, 'x')}), 0U);
}

TEST("an interface name is cut to what the kernel takes") {
  CHECK_EQ(InterfaceName("abcdefghijklmnopq").view(), "abcdefghijklmno");
  CHECK_EQ(std::string(InterfaceName("vnif0004").cString()), "vnif0004");
  CHECK(InterfaceName("a") == InterfaceName("a"));
  CHECK(!(InterfaceName("a") == InterfaceName("b")));
}

}  // namespace
}  // namespace vnetd::control

VNETD_TEST_MAIN()
