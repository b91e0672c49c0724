// decodeMessage on any stream: what is accepted has one form, and is written in it again.
#include <algorithm>
#include <variant>
#include <vector>

#include "control/messages.h"
#include "fuzz/fuzz-input.h"

namespace vnetd {

namespace {

void checkStream(ByteSpan stream) {
  static std::vector<std::byte> again(control::kMessageBytesMax);
  while (true) {
    const control::DecodedMessage decoded = control::decodeMessage(stream);
    if (decoded.status != control::DecodeStatus::kMessage) {
      fuzz::require(decoded.consumedBytes == 0, "nothing is used up without a message");
      fuzz::require(decoded.message.index() == 0, "and none is given");
      return;
    }
    fuzz::require(decoded.consumedBytes >= control::kMessageHeaderBytes &&
                      decoded.consumedBytes <= stream.size(),
                  "a message lies in the stream");
    const std::size_t bytes = control::encodeAnyMessage(again, decoded.sequence, decoded.message);
    fuzz::require(
        std::ranges::equal(std::span(again).first(bytes), stream.first(decoded.consumedBytes)),
        "a message that was read is written as it was");
    stream = stream.subspan(decoded.consumedBytes);
  }
}

}  // namespace

}  // namespace vnetd

// The first octet set: the rest is a body, the second octet its type. Else the rest is a stream.
// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::fuzz::FuzzInput input(data, size);
  const bool isBody = input.u8() != 0;
  if (!isBody) {
    vnetd::checkStream(input.rest());
    return 0;
  }
  const std::uint8_t number = input.u8();
  const vnetd::ByteSpan body = input.rest();
  std::vector<std::byte> stream(vnetd::control::kMessageHeaderBytes);
  vnetd::storeU32(stream.data(), static_cast<std::uint32_t>(8 + body.size()));
  vnetd::storeU16(&stream[4], number);
  stream.insert(stream.end(), body.begin(), body.end());
  vnetd::checkStream(stream);
  return 0;
}
