// The form of VNC1 messages: whatever is found good can be walked to its end by the simplest of
// readers, and is a message that a forwarder would pass on.
#include <cstdint>
#include <vector>

#include "fuzz/fuzz-input.h"
#include "wire/esp.h"
#include "wire/legacy.h"
#include "wire/vnc1.h"

namespace vnetd {
namespace {

constexpr std::uint32_t kMagic = 0x564E4331;

// Walks octet by octet, with no regard to types.
bool endsAtMac(ByteSpan payload) {
  std::size_t at = kVnc1HeaderBytes;
  std::size_t tlvCount = 0;
  while (at < payload.size() - kVnc1MacBytes) {
    at += 3 + loadU16(&payload[at + 1]);
    ++tlvCount;
  }
  return at == payload.size() - kVnc1MacBytes && tlvCount <= kVnc1TlvCountMax;
}

void checkPayload(const std::vector<std::byte>& payload) {
  const Vnc1Check check = checkVnc1(payload);
  const bool isVnc1 = classifyDatagram(payload) == DatagramKind::kVnc1;
  if (payload.size() >= kVnc1BytesMin) {
    fuzz::require((check == Vnc1Check::kNotVnc1) == !isVnc1, "told by its first octets");
  }
  if (check != Vnc1Check::kGood) {
    return;
  }
  fuzz::require(isVnc1 && isSecureMessage(payload), "a good message is VNC1");
  fuzz::require(payload.size() >= kVnc1BytesMin, "a good message has header and MAC");
  fuzz::require(loadU16(&payload[10]) == payload.size(), "a good message is as long as it says");
  fuzz::require(endsAtMac(payload), "the TLVs end at the MAC");
}

}  // namespace
}  // namespace vnetd

// The first octet says how much of the header is made right, so that runs reach the TLVs.
// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::fuzz::FuzzInput input(data, size);
  const std::uint8_t choice = input.u8();
  const vnetd::ByteSpan rest = input.rest();
  if ((choice & 1U) == 0) {
    vnetd::checkPayload({rest.begin(), rest.end()});
    return 0;
  }
  // The fuzzer's octets are the TLVs alone.
  std::vector<std::byte> payload(vnetd::kVnc1HeaderBytes);
  payload.insert(payload.end(), rest.begin(), rest.end());
  payload.resize(payload.size() + vnetd::kVnc1MacBytes);
  vnetd::storeU32(&payload[4], vnetd::kMagic);
  vnetd::storeU8(&payload[8], 1 + choice / 2 % 10);
  vnetd::storeU16(&payload[10], static_cast<std::uint16_t>(payload.size()));
  vnetd::storeU16(&payload[20], 1);
  vnetd::storeU32(&payload[60], choice < 128 ? vnetd::kFirstGroupSpi : 0);
  vnetd::checkPayload(payload);
  return 0;
}
