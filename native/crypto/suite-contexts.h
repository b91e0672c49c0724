// libcrypto's contexts for one key of one suite, in one direction: made once, used for each packet.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "crypto/key-memory.h"
#include "crypto/suite.h"
#include "wire/bytes.h"

namespace vnetd {

enum class Direction : std::uint8_t { kSeal, kOpen };

class SuiteContexts {
 public:
  // None when `key` has not the suite's length or libcrypto fails.
  [[nodiscard]] static std::optional<SuiteContexts> make(Suite suite, Direction direction,
                                                         ByteSpan key);

  // The 16 octets of CBC's IV for a counter.
  [[nodiscard]] bool makeCbcIv(std::uint64_t counter, std::byte* iv);

  // AES-GCM in place: `iv` 8 octets, `aad` kSpiAndSequenceBytes, `icv` is written.
  [[nodiscard]] bool sealGcm(const std::byte* aad, const std::byte* iv, MutableByteSpan text,
                             std::byte* icv);
  // From `sealed` to `text`, of one size, the same or apart. False: not authentic, `text` is junk.
  [[nodiscard]] bool openGcm(const std::byte* aad, const std::byte* iv, ByteSpan sealed,
                             std::byte* text, const std::byte* icv);

  // AES-CBC without padding of its own: the text has whole blocks. Sealed in place; opened from
  // `sealed` to `text`, the same or apart.
  [[nodiscard]] bool sealCbc(const std::byte* iv, MutableByteSpan text);
  [[nodiscard]] bool openCbc(const std::byte* iv, ByteSpan sealed, std::byte* text);

  // HMAC suites: the ICV over `covered`, and whether one is right, compared in constant time. For
  // each, libcrypto takes a few small blocks of the thread's own (crypto/key-memory.h) and gives
  // them back.
  [[nodiscard]] bool makeIcv(ByteSpan covered, std::byte* icv);
  [[nodiscard]] bool isIcv(ByteSpan covered, const std::byte* icv);

 private:
  struct CipherFree {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  struct MacFree {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  struct SaltFree {
    void operator()(std::byte* salt) const { giveBackKeyMemory(salt); }
  };
  using Cipher = std::unique_ptr<EVP_CIPHER_CTX, CipherFree>;
  using Mac = std::unique_ptr<EVP_MAC_CTX, MacFree>;
  // Where libcrypto's contexts are too: this object itself may lie anywhere.
  using Salt = std::unique_ptr<std::byte, SaltFree>;

  SuiteContexts() = default;

  [[nodiscard]] bool startGcm(const std::byte* aad, const std::byte* iv);
  [[nodiscard]] bool startCbc(const std::byte* iv);
  [[nodiscard]] bool run(ByteSpan from, std::byte* to);

  Cipher cipher_;    // GCM or CBC
  Cipher ivCipher_;  // ECB, of a sealing CBC suite
  Mac mac_;
  Salt salt_;  // of a GCM suite
  std::size_t icvBytes_ = 0;
};

}  // namespace vnetd
