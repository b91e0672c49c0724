#include "control/messages.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "wire/bytes.h"

namespace vnetd::control {

namespace {

constexpr std::size_t kSequenceAt = 8;
constexpr std::size_t kCountMax = std::numeric_limits<std::uint16_t>::max();

// Puts fields one after the other; once something does not fit, isGood() stays false.
class FieldWriter {
 public:
  explicit FieldWriter(std::span<std::byte> out) : out_(out) {}

  [[nodiscard]] bool isGood() const { return isGood_; }
  [[nodiscard]] std::size_t writtenBytes() const { return at_; }

  void put(std::uint8_t value) {
    if (std::byte* const at = claim(sizeof value)) {
      storeU8(at, value);
    }
  }
  void put(std::uint16_t value) {
    if (std::byte* const at = claim(sizeof value)) {
      storeU16(at, value);
    }
  }
  void put(std::uint32_t value) {
    if (std::byte* const at = claim(sizeof value)) {
      storeU32(at, value);
    }
  }
  void put(std::uint64_t value) {
    if (std::byte* const at = claim(sizeof value)) {
      storeU64(at, value);
    }
  }
  void put(bool value) { put(static_cast<std::uint8_t>(value ? 1 : 0)); }
  void put(const MacAddress& value) { putOctets(value.octets); }
  void put(const VnetId& value) { putOctets(value.octets); }
  void put(const IpAddress& value) {
    put(value.family);
    putOctets(value.octets);
  }
  void put(const Endpoint& value) {
    put(value.ip());
    put(value.udpPort);
  }
  void put(const InterfaceName& value) {
    put(static_cast<std::uint8_t>(value.view().size()));
    putOctets(std::as_bytes(std::span(value.view())));
  }
  void put(const std::string& value) {
    putCount(value.size());
    putOctets(std::as_bytes(std::span(value)));
  }
  void put(const std::vector<std::byte>& value) { putCounted(value); }
  void put(const Secret& value) { putCounted(value); }
  template <class Element>
  void put(const std::vector<Element>& values) {
    putCount(values.size());
    for (const Element& value : values) {
      put(value);
    }
  }

 private:
  std::byte* claim(std::size_t bytes) {
    isGood_ = isGood_ && bytes <= out_.size() - at_;
    if (!isGood_) {
      return nullptr;
    }
    std::byte* const at = out_.data() + at_;
    at_ += bytes;
    return at;
  }

  void putOctets(std::span<const std::byte> octets) {
    std::byte* const at = claim(octets.size());
    if (at != nullptr && !octets.empty()) {
      std::memcpy(at, octets.data(), octets.size());
    }
  }

  void putCounted(std::span<const std::byte> octets) {
    putCount(octets.size());
    putOctets(octets);
  }

  void putCount(std::size_t count) {
    isGood_ = isGood_ && count <= kCountMax;
    put(static_cast<std::uint16_t>(count));
  }

  std::span<std::byte> out_;
  std::size_t at_ = 0;
  bool isGood_ = true;
};

// Takes fields one after the other; once something is missing or wrong, isGood() stays false and
// what is taken is of no meaning.
class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> body) : rest_(body) {}

  // Everything was right and nothing is left over.
  [[nodiscard]] bool isDone() const { return isGood_ && rest_.empty(); }

  void take(std::uint8_t& value) {
    if (const std::byte* const at = claim(sizeof value)) {
      value = loadU8(at);
    }
  }
  void take(std::uint16_t& value) {
    if (const std::byte* const at = claim(sizeof value)) {
      value = loadU16(at);
    }
  }
  void take(std::uint32_t& value) {
    if (const std::byte* const at = claim(sizeof value)) {
      value = loadU32(at);
    }
  }
  void take(std::uint64_t& value) {
    if (const std::byte* const at = claim(sizeof value)) {
      value = loadU64(at);
    }
  }
  void take(bool& value) {
    std::uint8_t octet = 0;
    take(octet);
    isGood_ = isGood_ && octet <= 1;
    value = octet == 1;
  }
  void take(MacAddress& value) { takeOctets(value.octets); }
  void take(VnetId& value) { takeOctets(value.octets); }
  void take(IpAddress& value);
  void take(Endpoint& value);
  void take(InterfaceName& value);
  void take(std::string& value) {
    const auto octets = takeSpan(takeCount());
    value.resize(octets.size());
    std::ranges::copy(octets, std::as_writable_bytes(std::span(value)).begin());
  }
  void take(std::vector<std::byte>& value) { takeCounted(value); }
  void take(Secret& value) { takeCounted(value); }
  template <class Element>
  void take(std::vector<Element>& values) {
    // No reserve(): a count may lie, the octets that are there cannot.
    for (std::size_t count = takeCount(); count > 0 && isGood_; --count) {
      take(values.emplace_back());
    }
  }
  void take(std::vector<IpAddress>& values);

 private:
  const std::byte* claim(std::size_t bytes) {
    isGood_ = isGood_ && bytes <= rest_.size();
    if (!isGood_) {
      return nullptr;
    }
    const std::byte* const at = rest_.data();
    rest_ = rest_.subspan(bytes);
    return at;
  }

  std::span<const std::byte> takeSpan(std::size_t bytes) {
    const std::byte* const at = claim(bytes);
    return at == nullptr ? std::span<const std::byte>() : std::span(at, bytes);
  }

  template <class Octets>
  void takeCounted(Octets& value) {
    const auto octets = takeSpan(takeCount());
    value.assign(octets.begin(), octets.end());
  }

  void takeOctets(std::span<std::byte> out) {
    const auto octets = takeSpan(out.size());
    std::ranges::copy(octets, out.begin());
  }

  std::size_t takeCount() {
    std::uint16_t count = 0;
    take(count);
    return count;
  }

  std::span<const std::byte> rest_;
  bool isGood_ = true;
};

// There is one form of each address: IPv4 followed by zeros, IPv6 not IPv4-mapped, none all zero.
void FieldReader::take(IpAddress& value) {
  std::uint8_t family = 0;
  IpAddress raw;
  take(family);
  takeOctets(raw.octets);
  const std::span octets(raw.octets);
  switch (family) {
    case kFamilyNone:
      value = {};
      break;
    case kFamilyIpv4:
      value = IpAddress::fromIpv4(octets.first<kIpv4Bytes>());
      break;
    case kFamilyIpv6:
      value = IpAddress::fromIpv6(octets);
      break;
    default:
      isGood_ = false;
  }
  raw.family = family;
  isGood_ = isGood_ && value == raw;
}

void FieldReader::take(Endpoint& value) {
  IpAddress ip;
  std::uint16_t udpPort = 0;
  take(ip);
  take(udpPort);
  isGood_ = isGood_ && (!ip.isNone() || udpPort == 0);
  value = Endpoint::from(ip, udpPort);
}

void FieldReader::take(InterfaceName& value) {
  std::uint8_t length = 0;
  take(length);
  const auto octets = takeSpan(length);
  isGood_ = isGood_ && length <= InterfaceName::kBytesMax &&
            std::ranges::find(octets, std::byte{0}) == octets.end();
  if (isGood_) {
    std::array<char, InterfaceName::kBytesMax> text{};
    std::ranges::copy(octets, std::as_writable_bytes(std::span(text)).begin());
    value = InterfaceName(std::string_view(text.data(), length));
  }
}

void FieldReader::take(std::vector<IpAddress>& values) {
  for (std::size_t count = takeCount(); count > 0 && isGood_; --count) {
    take(values.emplace_back());
    // "No address" says nothing in a list.
    isGood_ = isGood_ && !values.back().isNone();
  }
}

// One putFields() and one takeFields() for each message, in the table's order.
#define VNETD_MESSAGE(Name, number, FIELDS)                                                   \
  void putFields([[maybe_unused]] FieldWriter& codec, [[maybe_unused]] const Name& message) { \
    FIELDS                                                                                    \
  }
#define VNETD_FIELD(type, fieldName) codec.put(message.fieldName);
#include "control/messages.def"
#undef VNETD_FIELD
#undef VNETD_MESSAGE

#define VNETD_MESSAGE(Name, number, FIELDS) \
  void takeFields([[maybe_unused]] FieldReader& codec, [[maybe_unused]] Name& message) { FIELDS }
#define VNETD_FIELD(type, fieldName) codec.take(message.fieldName);
#include "control/messages.def"
#undef VNETD_FIELD
#undef VNETD_MESSAGE

template <class M>
bool decodeBody(std::span<const std::byte> body, Message& message) {
  FieldReader reader(body);
  takeFields(reader, message.emplace<M>());
  return reader.isDone();
}

bool decodeAnyBody(std::uint16_t number, std::span<const std::byte> body, Message& message) {
  switch (number) {
#define VNETD_MESSAGE(Name, number, FIELDS) \
  case number:                              \
    return decodeBody<Name>(body, message);
#include "control/messages.def"
#undef VNETD_MESSAGE
    default:
      return false;
  }
}

}  // namespace

template <class M>
std::size_t encodeMessage(std::span<std::byte> out, std::uint32_t sequence, const M& message) {
  if (out.size() < kMessageHeaderBytes) {
    return 0;
  }
  FieldWriter body(out.first(std::min(out.size(), kMessageBytesMax)).subspan(kMessageHeaderBytes));
  putFields(body, message);
  if (!body.isGood()) {
    return 0;
  }
  const std::size_t messageBytes = kMessageHeaderBytes + body.writtenBytes();
  storeU32(out.data(), static_cast<std::uint32_t>(messageBytes - kLengthFieldBytes));
  storeU16(&out[4], M::kNumber);
  storeU16(&out[6], 0);
  storeU32(&out[kSequenceAt], sequence);
  return messageBytes;
}

#define VNETD_MESSAGE(Name, number, FIELDS) \
  template std::size_t encodeMessage(std::span<std::byte>, std::uint32_t, const Name&);
#include "control/messages.def"
#undef VNETD_MESSAGE

std::size_t encodeAnyMessage(std::span<std::byte> out, std::uint32_t sequence,
                             const Message& message) {
  return std::visit(
      [&](const auto& any) -> std::size_t {
        if constexpr (std::is_same_v<std::decay_t<decltype(any)>, std::monostate>) {
          return 0;
        } else {
          return encodeMessage(out, sequence, any);
        }
      },
      message);
}

DecodedMessage decodeMessage(std::span<const std::byte> stream) {
  DecodedMessage decoded;
  if (stream.size() < kLengthFieldBytes) {
    return decoded;
  }
  const std::size_t length = loadU32(stream.data());
  if (length < kMessageLengthMin || length > kMessageLengthMax) {
    decoded.status = DecodeStatus::kMalformed;
    return decoded;
  }
  const std::size_t messageBytes = kLengthFieldBytes + length;
  if (stream.size() < messageBytes) {
    return decoded;
  }
  const std::uint16_t number = loadU16(&stream[4]);
  const bool isReservedZero = loadU16(&stream[6]) == 0;
  const auto body = stream.first(messageBytes).subspan(kMessageHeaderBytes);
  if (!isReservedZero || !decodeAnyBody(number, body, decoded.message)) {
    decoded.status = DecodeStatus::kMalformed;
    decoded.message = {};
    return decoded;
  }
  decoded.status = DecodeStatus::kMessage;
  decoded.consumedBytes = messageBytes;
  decoded.sequence = loadU32(&stream[kSequenceAt]);
  return decoded;
}

std::string_view messageName(std::uint16_t number) {
  switch (number) {
#define VNETD_MESSAGE(Name, number, FIELDS) \
  case number:                              \
    return #Name;
#include "control/messages.def"
#undef VNETD_MESSAGE
    default:
      return {};
  }
}

}  // namespace vnetd::control
