#include "crypto/suite-contexts.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace vnetd {
namespace {

constexpr std::size_t kSaltBytes = 4;
constexpr std::size_t kGcmIvBytes = 8;
constexpr std::size_t kGcmIcvBytes = 16;
constexpr std::size_t kAesKeyBytes = 16;
constexpr std::size_t kCipherBlockBytes = 16;

unsigned char* asOctets(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* asOctets(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

bool isGcm(Suite suite) { return suite == Suite::kAes128Gcm || suite == Suite::kAes256Gcm; }

// A keyed context of `cipher` with no padding of its own, or null.
EVP_CIPHER_CTX* makeCipher(const EVP_CIPHER* cipher, Direction direction, ByteSpan key) {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  if (context == nullptr) {
    return nullptr;
  }
  const int isSealing = direction == Direction::kSeal ? 1 : 0;
  if (EVP_CipherInit_ex(context, cipher, nullptr, asOctets(key.data()), nullptr, isSealing) != 1 ||
      EVP_CIPHER_CTX_set_padding(context, 0) != 1) {
    EVP_CIPHER_CTX_free(context);
    return nullptr;
  }
  return context;
}

// The name is not const because libcrypto's parameters are not; it is only read.
EVP_MAC_CTX* makeHmac(std::string digest, ByteSpan key) {
  EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
  if (hmac == nullptr) {
    return nullptr;
  }
  EVP_MAC_CTX* const context = EVP_MAC_CTX_new(hmac);
  EVP_MAC_free(hmac);
  std::array<OSSL_PARAM, 2> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  if (context != nullptr &&
      EVP_MAC_init(context, asOctets(key.data()), key.size(), parameters.data()) != 1) {
    EVP_MAC_CTX_free(context);
    return nullptr;
  }
  return context;
}

std::array<OSSL_PARAM, 2> tagParameter(std::byte* icv) {
  return {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, icv, kGcmIcvBytes),
          OSSL_PARAM_construct_end()};
}

}  // namespace

std::optional<SuiteContexts> SuiteContexts::make(Suite suite, Direction direction, ByteSpan key) {
  if (key.size() != suiteSizes(suite).keyBytes) {
    return std::nullopt;
  }
  SuiteContexts made;
  made.icvBytes_ = suiteSizes(suite).icvBytes;
  if (isGcm(suite)) {
    const EVP_CIPHER* const cipher =
        suite == Suite::kAes128Gcm ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    made.cipher_.reset(makeCipher(cipher, direction, key.first(key.size() - kSaltBytes)));
    made.salt_.reset(static_cast<std::byte*>(takeKeyMemory(kSaltBytes)));
    if (!made.cipher_ || !made.salt_) {
      return std::nullopt;
    }
    std::ranges::copy(key.last<kSaltBytes>(), made.salt_.get());
    return made;
  }
  if (suite == Suite::kAes128CbcHmacSha1) {
    made.cipher_.reset(makeCipher(EVP_aes_128_cbc(), direction, key.first<kAesKeyBytes>()));
    made.ivCipher_.reset(
        makeCipher(EVP_aes_128_ecb(), Direction::kSeal, key.subspan<kAesKeyBytes, kAesKeyBytes>()));
    key = key.subspan<2 * kAesKeyBytes>();
    if (!made.cipher_ || !made.ivCipher_) {
      return std::nullopt;
    }
  }
  made.mac_.reset(makeHmac(suite == Suite::kHmacSha256 ? "SHA2-256" : "SHA1", key));
  return made.mac_ ? std::optional(std::move(made)) : std::nullopt;
}

bool SuiteContexts::makeCbcIv(std::uint64_t counter, std::byte* iv) {
  std::array<std::byte, kCipherBlockBytes> block{};
  storeU64(&block[kCipherBlockBytes - sizeof counter], counter);
  int written = 0;
  return EVP_CipherUpdate(ivCipher_.get(), asOctets(iv), &written, asOctets(block.data()),
                          static_cast<int>(block.size())) == 1 &&
         written == static_cast<int>(kCipherBlockBytes);
}

bool SuiteContexts::startGcm(const std::byte* aad, const std::byte* iv) {
  std::array<std::byte, kSaltBytes + kGcmIvBytes> nonce{};
  std::copy_n(salt_.get(), kSaltBytes, nonce.begin());
  std::copy_n(iv, kGcmIvBytes, nonce.begin() + kSaltBytes);
  int written = 0;
  return EVP_CipherInit_ex(cipher_.get(), nullptr, nullptr, nullptr, asOctets(nonce.data()), -1) ==
             1 &&
         EVP_CipherUpdate(cipher_.get(), nullptr, &written, asOctets(aad),
                          static_cast<int>(kSpiAndSequenceBytes)) == 1;
}

bool SuiteContexts::startCbc(const std::byte* iv) {
  return EVP_CipherInit_ex(cipher_.get(), nullptr, nullptr, nullptr, asOctets(iv), -1) == 1;
}

bool SuiteContexts::run(ByteSpan from, std::byte* to) {
  int written = 0;
  return EVP_CipherUpdate(cipher_.get(), asOctets(to), &written, asOctets(from.data()),
                          static_cast<int>(from.size())) == 1 &&
         written == static_cast<int>(from.size());
}

bool SuiteContexts::sealGcm(const std::byte* aad, const std::byte* iv, MutableByteSpan text,
                            std::byte* icv) {
  int last = 0;
  std::array<OSSL_PARAM, 2> tag = tagParameter(icv);
  // EVP_CIPHER_CTX_ctrl would make the same parameter, and costs 20 ns more.
  return startGcm(aad, iv) && run(text, text.data()) &&
         EVP_CipherFinal_ex(cipher_.get(), nullptr, &last) == 1 &&
         EVP_CIPHER_CTX_get_params(cipher_.get(), tag.data()) == 1;
}

bool SuiteContexts::openGcm(const std::byte* aad, const std::byte* iv, ByteSpan sealed,
                            std::byte* text, const std::byte* icv) {
  int last = 0;
  // A parameter's value is not const, even one that is only read.
  std::array<std::byte, kGcmIcvBytes> copy{};
  std::copy_n(icv, kGcmIcvBytes, copy.begin());
  const std::array<OSSL_PARAM, 2> tag = tagParameter(copy.data());
  // Final compares the tags, in constant time.
  return startGcm(aad, iv) && run(sealed, text) &&
         EVP_CIPHER_CTX_set_params(cipher_.get(), tag.data()) == 1 &&
         EVP_CipherFinal_ex(cipher_.get(), nullptr, &last) == 1;
}

bool SuiteContexts::sealCbc(const std::byte* iv, MutableByteSpan text) {
  return startCbc(iv) && run(text, text.data());
}

bool SuiteContexts::openCbc(const std::byte* iv, ByteSpan sealed, std::byte* text) {
  return startCbc(iv) && run(sealed, text);
}

bool SuiteContexts::makeIcv(ByteSpan covered, std::byte* icv) {
  std::array<std::byte, EVP_MAX_MD_SIZE> whole{};
  std::size_t written = 0;
  // No key: the one of the set-up stays.
  if (EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) != 1 ||
      EVP_MAC_update(mac_.get(), asOctets(covered.data()), covered.size()) != 1 ||
      EVP_MAC_final(mac_.get(), asOctets(whole.data()), &written, whole.size()) != 1) {
    return false;
  }
  std::copy_n(whole.begin(), icvBytes_, icv);
  return true;
}

bool SuiteContexts::isIcv(ByteSpan covered, const std::byte* icv) {
  std::array<std::byte, EVP_MAX_MD_SIZE> right{};
  return makeIcv(covered, right.data()) && CRYPTO_memcmp(right.data(), icv, icvBytes_) == 0;
}

}  // namespace vnetd
