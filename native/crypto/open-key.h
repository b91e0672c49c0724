// Opens the packets of one SA: UDP payload in, frame out. The mirror of crypto/seal-key.h.
//
// A packet's way, each step a call of its own: packetCounter -> ReplayWindow::check -> open ->
// ReplayWindow::accept. One OpenKey is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include "crypto/suite-contexts.h"
#include "crypto/suite.h"
#include "wire/bytes.h"

namespace vnetd {

// Why a sealed packet goes no further. The last four can only come from a holder of the key.
enum class OpenDrop : std::uint8_t {
  kLength,      // shorter than the least packet of the suite, or not filled to its alignment
  kCounter,     // counter 0, or Seq is not the IV's low half
  kIcv,         // not authentic
  kPadding,     // longer than the payload, or not 1, 2, 3 …
  kNextHeader,  // none of 17, 59 and 97
  kEtherip,     // another version than 3, or flags we do not know
  kRuntFrame,   // frame shorter than an Ethernet header
};

struct OpenedPacket {
  std::uint8_t nextHeader;
  // Of the EtherIP word; 0 when the next header is not 97.
  std::uint16_t flags;
  // Next header 97: the frame. Otherwise all that was sealed, without padding. Lies in `out`.
  MutableByteSpan payload;
};

using OpenOutcome = std::variant<OpenedPacket, OpenDrop>;

// The counter a packet claims, for the replay window; none when `open` would say kLength or
// kCounter. Where the suite's IV holds the counter it is that, else Seq.
// HOT PATH: no allocation, no throw.
[[nodiscard]] std::optional<std::uint64_t> packetCounter(Suite suite, ByteSpan packet);

class OpenKey {
 public:
  // None when the key material has not the suite's length (suiteSizes) or libcrypto fails.
  [[nodiscard]] static std::optional<OpenKey> make(Suite suite, ByteSpan key);

  [[nodiscard]] Suite suite() const { return suite_; }

  // Opens the packet in its own memory. With a suite of GCM a packet that is not authentic (kIcv)
  // is spoilt, and no other key opens it any more: where there are several candidates use the form
  // below.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] OpenOutcome open(MutableByteSpan packet);

  // Leaves the packet as it is. `out` overlaps it nowhere and is as large as it; what was written
  // there before the ICV was found wrong is wiped.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] OpenOutcome open(ByteSpan packet, MutableByteSpan out);

 private:
  OpenKey(Suite suite, SuiteContexts contexts);

  // Opens what lies at the same place of `packet` and `out`, which are the same or apart.
  [[nodiscard]] OpenOutcome openInto(ByteSpan packet, MutableByteSpan out);
  [[nodiscard]] bool openText(ByteSpan packet, ByteSpan sealed, std::byte* text);

  SuiteContexts contexts_;
  Suite suite_;
};

}  // namespace vnetd
