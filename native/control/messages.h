// The messages between vnetd and vnet-dp: one struct for each row of control/messages.def, and
// their codec. Twin of src/dataplane/codec.ts: both are held to
// test/vectors/dataplane-messages.tsv and dataplane-messages-malformed.tsv.
//
// Structs of scalars are encoded without allocation, so that any thread may make an event. Lists,
// texts and bytes are standard containers: for the control thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "wire/endpoint.h"
#include "wire/mac-address.h"
#include "wire/secret.h"
#include "wire/vnet-id.h"

namespace vnetd::control {

inline constexpr std::uint16_t kControlVersion = 4;

inline constexpr std::size_t kMessageHeaderBytes = 12;
// The length field: octets after itself.
inline constexpr std::size_t kLengthFieldBytes = 4;
inline constexpr std::size_t kMessageLengthMin = 8;
inline constexpr std::size_t kMessageLengthMax = 1'048'576;
inline constexpr std::size_t kMessageBytesMax = kLengthFieldBytes + kMessageLengthMax;

// Events have numbers from here.
inline constexpr std::uint16_t kFirstEvent = 128;

// An interface name: at most 15 octets, none of them zero, and a zero behind them.
class InterfaceName {
 public:
  static constexpr std::size_t kBytesMax = 15;

  InterfaceName() = default;
  // Cuts what is too long; names from vnetd never are.
  explicit InterfaceName(std::string_view text)
      : length_(static_cast<std::uint8_t>(std::min(text.size(), kBytesMax))) {
    std::ranges::copy(text.substr(0, length_), octets_.begin());
  }

  friend bool operator==(const InterfaceName&, const InterfaceName&) = default;

  [[nodiscard]] std::string_view view() const { return {octets_.data(), length_}; }
  // For ioctl() and if_nametoindex().
  [[nodiscard]] const char* cString() const { return octets_.data(); }

 private:
  std::array<char, kBytesMax + 1> octets_{};
  std::uint8_t length_ = 0;
};

// What the field types of messages.def are here, under the names they have there.
// NOLINTBEGIN(readability-identifier-naming)
namespace field {
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using flag = bool;
using mac = MacAddress;
using vnet = VnetId;
using address = IpAddress;
using endpoint = Endpoint;
using name = InterfaceName;
using text = std::string;
using bytes = std::vector<std::byte>;
using secret = Secret;
using addresses = std::vector<IpAddress>;
using indexes = std::vector<std::uint32_t>;
using counters = std::vector<std::uint64_t>;
}  // namespace field
// NOLINTEND(readability-identifier-naming)

// struct Hello { static constexpr std::uint16_t kNumber = 1; std::uint16_t version{}; }; …
#define VNETD_FIELD(type, fieldName) field::type fieldName{};
#define VNETD_MESSAGE(Name, number, FIELDS)                     \
  struct Name {                                                 \
    static constexpr std::uint16_t kNumber = number;            \
    FIELDS                                                      \
    friend bool operator==(const Name&, const Name&) = default; \
  };
#include "control/messages.def"
#undef VNETD_MESSAGE
#undef VNETD_FIELD

// One of them. The first alternative stands for none: what a new value holds.
using Message = std::variant<std::monostate
#define VNETD_MESSAGE(Name, number, FIELDS) , Name
#include "control/messages.def"
#undef VNETD_MESSAGE
                             >;

// Writes one message at the front of `out`. Returns its octets, or 0 when it does not fit there, or
// a list or text is longer than its count can say.
template <class M>
[[nodiscard]] std::size_t encodeMessage(std::span<std::byte> out, std::uint32_t sequence,
                                        const M& message);

// The same for whichever it is; 0 for none.
[[nodiscard]] std::size_t encodeAnyMessage(std::span<std::byte> out, std::uint32_t sequence,
                                           const Message& message);

enum class DecodeStatus : std::uint8_t {
  kMessage,    // `message` and `sequence` are set, `consumedBytes` octets are used up.
  kNeedMore,   // No whole message is there yet; nothing is used up.
  kMalformed,  // The stream cannot go on: close it.
};

struct DecodedMessage {
  DecodeStatus status = DecodeStatus::kNeedMore;
  std::size_t consumedBytes = 0;
  std::uint32_t sequence = 0;
  Message message;
};

// Takes the first message off a stream's octets. Never throws; allocates no more than the octets
// that are there can fill.
[[nodiscard]] DecodedMessage decodeMessage(std::span<const std::byte> stream);

// "SetVnet", for the log; empty for a number without a message.
[[nodiscard]] std::string_view messageName(std::uint16_t number);

}  // namespace vnetd::control
