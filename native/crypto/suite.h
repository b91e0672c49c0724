// The suites of secure vnets, their keys' layouts, and what sealing adds to a frame.
//
//   suite                 key material, in this order          IV  ICV  pads to  specification
//   1 aes128-gcm          key 16, salt 4                        8   16        4  RFC 4106
//   2 aes256-gcm          key 32, salt 4                        8   16        4  RFC 4106
//   3 hmac-sha256-128     MAC key 32                            0   16        4  RFC 2410, 4868
//   4 hmac96              MAC key 20                            0   12        4  RFC 2410, 2404
//   5 aes128-hmac96       cipher key 16, IV key 16, MAC key 20 16   12       16  RFC 3602, 2404
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace vnetd {

// The numbers stand in the messages between vnetd and vnet-dp.
enum class Suite : std::uint8_t {
  kAes128Gcm = 1,
  kAes256Gcm = 2,
  kHmacSha256 = 3,
  kHmacSha1 = 4,
  kAes128CbcHmacSha1 = 5,
};

inline constexpr std::uint8_t kFirstSuite = 1;
inline constexpr std::uint8_t kLastSuite = 5;

[[nodiscard]] constexpr std::optional<Suite> suiteFromNumber(std::uint8_t number) {
  if (number < kFirstSuite || number > kLastSuite) {
    return std::nullopt;
  }
  return static_cast<Suite>(number);
}

struct SuiteSizes {
  std::size_t keyBytes;    // all of the key material
  std::size_t ivBytes;     // between Seq and the sealed payload
  std::size_t icvBytes;    // behind the next header
  std::size_t alignBytes;  // payload, padding, pad length and next header fill a multiple of this
};

[[nodiscard]] constexpr SuiteSizes suiteSizes(Suite suite) {
  switch (suite) {
    case Suite::kAes128Gcm:
      return {.keyBytes = 20, .ivBytes = 8, .icvBytes = 16, .alignBytes = 4};
    case Suite::kAes256Gcm:
      return {.keyBytes = 36, .ivBytes = 8, .icvBytes = 16, .alignBytes = 4};
    case Suite::kHmacSha256:
      return {.keyBytes = 32, .ivBytes = 0, .icvBytes = 16, .alignBytes = 4};
    case Suite::kHmacSha1:
      return {.keyBytes = 20, .ivBytes = 0, .icvBytes = 12, .alignBytes = 4};
    case Suite::kAes128CbcHmacSha1:
      return {.keyBytes = 52, .ivBytes = 16, .icvBytes = 12, .alignBytes = 16};
  }
  __builtin_unreachable();
}

inline constexpr std::size_t kSpiAndSequenceBytes = 8;
inline constexpr std::size_t kEspTrailerBytes = 2;  // pad length, next header
inline constexpr std::size_t kEtheripWordBytes = 2;

// The UDP payload that `payloadBytes` octets between IV and padding become.
[[nodiscard]] constexpr std::size_t sealedBytes(Suite suite, std::size_t payloadBytes) {
  const SuiteSizes sizes = suiteSizes(suite);
  const std::size_t padded = (payloadBytes + kEspTrailerBytes + sizes.alignBytes - 1) /
                             sizes.alignBytes * sizes.alignBytes;
  return kSpiAndSequenceBytes + sizes.ivBytes + padded + sizes.icvBytes;
}

// The UDP payload that a frame of `frameBytes` octets becomes.
[[nodiscard]] constexpr std::size_t sealedFrameBytes(Suite suite, std::size_t frameBytes) {
  return sealedBytes(suite, kEtheripWordBytes + frameBytes);
}

// The largest frame whose UDP payload is at most `datagramBytes` (path MTU less the IP and UDP
// headers); 0 when not even an empty one fits.
[[nodiscard]] constexpr std::size_t largestSealedFrame(Suite suite, std::size_t datagramBytes) {
  const SuiteSizes sizes = suiteSizes(suite);
  const std::size_t around = kSpiAndSequenceBytes + sizes.ivBytes + sizes.icvBytes;
  if (datagramBytes < around) {
    return 0;
  }
  const std::size_t padded = (datagramBytes - around) / sizes.alignBytes * sizes.alignBytes;
  const std::size_t inside = kEspTrailerBytes + kEtheripWordBytes;
  return padded < inside ? 0 : padded - inside;
}

}  // namespace vnetd
