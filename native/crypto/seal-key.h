// Seals the packets of one SA: frame in, UDP payload out, by the layout of wire/esp.h.
//
// The key material is copied into libcrypto's contexts when the SA is set up; the caller wipes its
// own copy. The contexts are reused for every packet. One SealKey is used by one thread at a time:
// threads that seal for the same SA make one each and draw counters from a shared one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "crypto/suite-contexts.h"
#include "crypto/suite.h"
#include "wire/bytes.h"

namespace vnetd {

class SealKey {
 public:
  // None when the key material has not the suite's length (suiteSizes) or libcrypto fails.
  [[nodiscard]] static std::optional<SealKey> make(Suite suite, std::uint32_t spi, ByteSpan key);

  [[nodiscard]] Suite suite() const { return suite_; }

  // Writes EtherIP word, `first` and `second` (one frame in two pieces; either may be empty),
  // sealed, to `out`, which overlaps neither and holds sealedFrameBytes(suite, both). Returns
  // that size. 0, and nothing that may be sent, when `out` is too small, `flags` has unknown bits,
  // `counter` is not above all counters this object has sealed with or above kLastPacketCounter:
  // a nonce is never used twice.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] std::size_t sealFrame(std::uint64_t counter, std::uint16_t flags, ByteSpan first,
                                      ByteSpan second, MutableByteSpan out);

  // The same for next headers without an EtherIP word: `payload` is all that is sealed, and
  // sealedBytes(suite, payload.size()) the size.
  [[nodiscard]] std::size_t sealPayload(std::uint64_t counter, std::uint8_t nextHeader,
                                        ByteSpan payload, MutableByteSpan out);

 private:
  SealKey(Suite suite, std::uint32_t spi, SuiteContexts contexts);

  [[nodiscard]] bool mayUse(std::uint64_t counter);
  [[nodiscard]] bool finish(std::uint64_t counter, std::size_t payloadBytes,
                            std::uint8_t nextHeader, MutableByteSpan packet);

  SuiteContexts contexts_;
  std::uint64_t lastCounter_ = 0;
  std::uint32_t spi_;
  Suite suite_;
};

}  // namespace vnetd
