// decodeDatagram and decodeEtherip on any octets: what they give lies inside what they were given,
// and is given again for what the encoders make of it.
#include <algorithm>
#include <array>
#include <variant>
#include <vector>

#include "fuzz/fuzz-input.h"
#include "wire/ethernet.h"
#include "wire/legacy.h"

namespace vnetd {

namespace {

using Octets = std::vector<std::byte>;

bool isInside(ByteSpan part, ByteSpan whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void checkFrame(const FrameMessage& frame, ByteSpan payload) {
  fuzz::require(isInside(frame.frame, payload), "the frame lies in the payload");
  fuzz::require(frame.frame.size() >= kEthernetHeaderBytes, "a frame has an Ethernet header");
}

void checkAgain(const FrameMessage& frame) {
  Octets again(kFrameMessageHeaderBytes);
  encodeFrameHeader(std::span(again).first<kFrameMessageHeaderBytes>(), frame.vnetId);
  again.insert(again.end(), frame.frame.begin(), frame.frame.end());
  const auto outcome = decodeDatagram(again);
  const auto* decoded = std::get_if<FrameMessage>(&outcome);
  fuzz::require(decoded != nullptr && decoded->vnetId == frame.vnetId &&
                    std::ranges::equal(decoded->frame, frame.frame),
                "a frame that was written is read");
}

void check(const FrameMessage& frame, ByteSpan payload) {
  checkFrame(frame, payload);
  checkAgain(frame);
}

void check(const VarpMessage& varp, ByteSpan payload) {
  fuzz::require(varp.raw.data() == payload.data() && varp.raw.size() == payload.size(),
                "a VARP message keeps its payload");
  fuzz::require(varp.address.isHost(), "the address is one a host can have");
  std::array<std::byte, kVarpBytes> again{};
  encodeVarp(again, varp);
  const auto outcome = decodeDatagram(again);
  const auto* decoded = std::get_if<VarpMessage>(&outcome);
  fuzz::require(decoded != nullptr && decoded->opcode == varp.opcode &&
                    decoded->vnetId == varp.vnetId && decoded->mac == varp.mac &&
                    decoded->address == varp.address,
                "a VARP message that was written is read");
}

void check(const ForwardMessage& forward, ByteSpan payload) {
  fuzz::require(isInside(forward.message, payload), "the message lies in the payload");
  fuzz::require(forward.destination.ip().isMulticast(), "a forward was for a group");
  fuzz::require(forward.source.family == forward.destination.family, "one family");
  const auto inner = decodeDatagram(forward.message);
  fuzz::require(!std::holds_alternative<ForwardMessage>(inner), "no forward in a forward");
  Octets again(kForwardHeaderBytesMax);
  again.resize(
      encodeForwardHeader(again, forward.source, forward.destination, forward.message.size()));
  fuzz::require(!again.empty(), "a forward that was read can be written");
  again.insert(again.end(), forward.message.begin(), forward.message.end());
  const auto outcome = decodeDatagram(again);
  const auto* decoded = std::get_if<ForwardMessage>(&outcome);
  fuzz::require(decoded != nullptr && decoded->source == forward.source &&
                    decoded->destination == forward.destination &&
                    std::ranges::equal(decoded->message, forward.message),
                "a forward that was written is read");
}

void check(const DropMessage& drop, ByteSpan /*payload*/) {
  const auto reason = static_cast<std::size_t>(drop.reason);
  fuzz::require(kCounterNames.at(reason).starts_with("drop-"), "a drop has a drop's counter");
}

void checkPayload(ByteSpan payload) {
  std::visit([payload](const auto& message) { check(message, payload); }, decodeDatagram(payload));
  const auto etherip = decodeEtherip(payload);
  if (const auto* frame = std::get_if<FrameMessage>(&etherip)) {
    checkFrame(*frame, payload);
  }
}

}  // namespace

}  // namespace vnetd

// The first octet chooses the message's id, so that runs do not spend themselves on finding it.
// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::fuzz::FuzzInput input(data, size);
  const std::uint8_t choice = input.u8();
  const vnetd::ByteSpan rest = input.rest();
  std::vector<std::byte> payload(rest.begin(), rest.end());
  if (choice != 0 && payload.size() >= 2) {
    vnetd::storeU16(payload.data(), static_cast<std::uint16_t>(1 + choice % 3));
  }
  if (choice >= 128 && payload.size() >= 16) {
    // A forward needs more right octets than chance gives.
    vnetd::storeU16(payload.data(), 3);
    vnetd::storeU8(&payload[4], choice % 2 == 0 ? 0x45 : 0x60);
    vnetd::storeU8(&payload[choice % 2 == 0 ? 13 : 10], 17);
  }
  vnetd::checkPayload(payload);
  return 0;
}
