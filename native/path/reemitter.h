// Sends what is not a datagram of this host's to just anybody, through the raw sockets.
//
// First of all, what a peer forwarded to us is multicast on our segment with its first source
// (wire/legacy.h, message 3), so that hosts there learn where a MAC really is; large packets are
// cut. And then probes of the path MTU, which nobody may cut.
#pragma once

#include "path/raw-sender.h"
#include "path/underlay-view.h"
#include "wire/bytes.h"
#include "wire/endpoint.h"

namespace vnetd {

class Reemitter {
 public:
  explicit Reemitter(const UnderlaySockets& sockets);

  // `source`: the host that multicast `message` first. False when it could not be sent.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] bool send(const UnderlayView& view, const Endpoint& source, ByteSpan message);

  // From this host to another. 0, or the errno.
  [[nodiscard]] int sendWhole(const UnderlayView& view, const Endpoint& host, ByteSpan message);

 private:
  const UnderlaySockets& sockets_;
  RawSender sender_;
};

}  // namespace vnetd
