#include "crypto/libcrypto.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "crypto/key-memory.h"
#include "crypto/open-key.h"
#include "crypto/seal-key.h"
#include "crypto/suite.h"
#include "wire/bytes.h"

namespace vnetd {
namespace {

constexpr std::uint32_t kTestSpi = 0x10000000;
constexpr std::size_t kTestFrameBytes = 60;

// The first half of the ICV of the frame 00, 01, 02 … with the key 00, 01, 02 …, SPI and counter
// as here; by the implementation that made test/vectors/esp.tsv.
struct KnownAnswer {
  Suite suite;
  std::uint64_t icvStart;
};
constexpr std::array kKnownAnswers{
    KnownAnswer{Suite::kAes128Gcm, 0x7D60E1431360FDD1},
    KnownAnswer{Suite::kAes256Gcm, 0x167555CB76B4CBF8},
    KnownAnswer{Suite::kHmacSha256, 0x6F2FDCC60686D83B},
    KnownAnswer{Suite::kHmacSha1, 0x26DC185B2F6B8BF8},
    KnownAnswer{Suite::kAes128CbcHmacSha1, 0xCC29B0097E35EED9},
};

template <std::size_t Count>
std::array<std::byte, Count> countUp() {
  std::array<std::byte, Count> octets{};
  for (std::size_t i = 0; i < Count; ++i) {
    octets[i] = std::byte{static_cast<std::uint8_t>(i)};
  }
  return octets;
}

bool answersRight(const KnownAnswer& known) {
  const auto material = countUp<64>();
  const auto frame = countUp<kTestFrameBytes>();
  const SuiteSizes sizes = suiteSizes(known.suite);
  const ByteSpan key = ByteSpan(material).first(sizes.keyBytes);
  std::array<std::byte, 128> packet{};
  auto sealKey = SealKey::make(known.suite, kTestSpi, key);
  auto openKey = OpenKey::make(known.suite, key);
  if (!sealKey || !openKey) {
    return false;
  }
  const std::size_t packetBytes = sealKey->sealFrame(1, 0, frame, {}, packet);
  if (packetBytes == 0 || loadU64(&packet[packetBytes - sizes.icvBytes]) != known.icvStart) {
    return false;
  }
  const OpenOutcome outcome = openKey->open(MutableByteSpan(packet).first(packetBytes));
  const auto* const opened = std::get_if<OpenedPacket>(&outcome);
  return opened != nullptr && std::ranges::equal(opened->payload, frame);
}

}  // namespace

Failure prepareLibcrypto() {
  if (!useKeyMemory()) {
    return {.error = EBUSY, .message = "Cannot give libcrypto its memory: it is in use already"};
  }
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) != 1) {
    return {.error = EIO, .message = "Cannot initialise libcrypto"};
  }
  for (const KnownAnswer& known : kKnownAnswers) {
    if (!answersRight(known)) {
      return {.error = EIO,
              .message = "libcrypto gives wrong results with suite " +
                         std::to_string(static_cast<unsigned>(known.suite))};
    }
  }
  return noFailure();
}

}  // namespace vnetd
