// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// A "sum" here is the ones-complement sum of big-endian 16-bit words, as a number in host order.
// It is not complemented; a checksum field holds the complement of a folded sum.
#pragma once

#include <cstdint>

#include "wire/bytes.h"

namespace vnetd {

/** Folds a wide sum of 16-bit words into 16 bits with end-around carry. */
inline std::uint16_t foldSum(std::uint64_t sum) {
  sum = (sum & 0xFFFF'FFFFU) + (sum >> 32U);
  sum = (sum & 0xFFFFU) + (sum >> 16U);
  sum = (sum & 0xFFFFU) + (sum >> 16U);
  sum = (sum & 0xFFFFU) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

/** The folded sum of `bytes`; an odd last octet counts as the high half of a word. */
std::uint16_t sumBytes(ByteSpan bytes);

/** The sum of two adjacent pieces; the second begins at an odd octet when `secondAtOdd`. */
inline std::uint16_t combineSums(std::uint16_t first, std::uint16_t second, bool secondAtOdd) {
  const std::uint16_t aligned = secondAtOdd ? __builtin_bswap16(second) : second;
  return foldSum(std::uint64_t{first} + aligned);
}

/** The checksum field's value for a sum: its complement. */
inline std::uint16_t checksumOf(std::uint64_t sum) {
  return static_cast<std::uint16_t>(~foldSum(sum));
}

/** A UDP checksum that comes out as 0 is sent as 0xFFFF: 0 means "none" (RFC 768). */
inline std::uint16_t udpChecksumOf(std::uint64_t sum) {
  const std::uint16_t checksum = checksumOf(sum);
  return checksum == 0 ? std::uint16_t{0xFFFF} : checksum;
}

/**
 * The checksum after one word of the covered data changed (RFC 1624 eqn. 3). What was wrong
 * before stays wrong by the same amount.
 */
inline std::uint16_t updateChecksum(std::uint16_t checksum, std::uint16_t oldWord,
                                    std::uint16_t newWord) {
  const auto inverted = [](std::uint16_t word) {
    return std::uint64_t{static_cast<std::uint16_t>(~word)};
  };
  return checksumOf(inverted(checksum) + inverted(oldWord) + newWord);
}

/**
 * The sum of the TCP or UDP pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1). `addresses` is source
 * and destination as they lie in the IP header: 8 or 32 octets.
 */
std::uint64_t pseudoHeaderSum(ByteSpan addresses, std::uint8_t protocol, std::uint32_t l4Bytes);

}  // namespace vnetd
