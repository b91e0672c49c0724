// The legacy messages (security level "none") in a UDP datagram's payload, and what else may come
// on the port. The C++ twin of src/encap: both are held to test/vectors/legacy.tsv.
//
// Every message starts u16 id, u16 opcode, big-endian:
//
//   id  opcode
//    1  1, 2     VARP request, announce: vnet 16, MAC 6, family 1, address 16     43 octets in all
//    2  ignored  frame: EtherIP header 2, vnet 16, Ethernet frame              22 before the frame
//    3  ignored  forward: an IP packet with a UDP header and one of the messages of this port
//
// Demultiplexing, first match wins (L: payload octets; first word: u32 at 0):
//
//   L < 8 (a NAT keepalive too)           drop-short
//   word 0, reserved SPIs, other ids      drop-unknown-message (VNC1 control has word 0)
//   id 1                                  VARP
//   id 2                                  frame
//   id 3                                  forward
//   word 0x10000000 … 0xFFFFFFFE          ESP: drop-esp-no-key
//
// A forward holds a whole IP packet. Over IPv4 that is the original's: 20 octets of header (more
// with options), id and checksum 0, source 0.0.0.0 for "the host that forwards". Over IPv6, which
// the original does not speak, it is an IPv6 packet with UDP as its first next header, source ::
// for the same, UDP checksum 0: the family of the message's group decides, not the family that
// the two peers speak to each other, since the receiver re-emits to its own group of that family.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "tables/counters.h"
#include "wire/endpoint.h"
#include "wire/etherip.h"
#include "wire/mac-address.h"
#include "wire/vnet-id.h"

namespace vnetd {

inline constexpr std::size_t kFrameMessageHeaderBytes = 22;
inline constexpr std::size_t kVarpBytes = 43;
// Before the message, id and opcode included.
inline constexpr std::size_t kForwardHeaderBytes4 = 4 + 20 + 8;
inline constexpr std::size_t kForwardHeaderBytes6 = 4 + 40 + 8;
inline constexpr std::size_t kForwardHeaderBytesMax = kForwardHeaderBytes6;

enum class VarpOpcode : std::uint16_t { kRequest = 1, kAnnounce = 2 };

struct VarpMessage {
  VarpOpcode opcode = VarpOpcode::kRequest;
  VnetId vnetId;
  MacAddress mac;
  // Where the asker, or the MAC, is: passes IpAddress::isHost().
  IpAddress address;
  // The whole payload, octets after the 43rd included; shares memory with what was decoded.
  std::span<const std::byte> raw;
};

struct ForwardMessage {
  // The inner source: who multicast the message. Address 0.0.0.0 or :: (isUnspecified()): the peer
  // that sent this datagram; else it passes isHost(). The port is the inner source port.
  Endpoint source;
  // Passes isMulticast().
  Endpoint destination;
  std::uint8_t ttl = 0;
  // The message as it was multicast: a frame or a VARP message that decodes, or ESP or VNC1 to be
  // passed on unread. Never a forward. Shares memory with what was decoded.
  std::span<const std::byte> message;
};

using DatagramOutcome = std::variant<FrameMessage, VarpMessage, ForwardMessage, DropMessage>;

// Splits a datagram's payload. Does not ask whether the source is a peer or the vnet exists.
// HOT PATH: no allocation, no throw.
[[nodiscard]] DatagramOutcome decodeDatagram(std::span<const std::byte> payload);

// A message of a secure vnet (ESP, or VNC1 control): whoever has no key can only pass it on.
// HOT PATH: no allocation, no throw.
[[nodiscard]] bool isSecureMessage(std::span<const std::byte> message);

// The 22 octets before a frame; they are the same for every frame of the vnet.
void encodeFrameHeader(std::span<std::byte, kFrameMessageHeaderBytes> out, const VnetId& vnetId);

// `raw` is not looked at. `address` none gives family 0, which nobody accepts: pass a real one.
void encodeVarp(std::span<std::byte, kVarpBytes> out, const VarpMessage& message);

// What stands before a message of `messageBytes` octets on its way to a peer, as the original
// fills it. `source` none: the forwarding host itself (0.0.0.0 or ::, the group's port).
// Returns its length, by the group's family; 0 when out is too small, the group is none, source
// and group are of different families, or the message is too long for an IP packet.
[[nodiscard]] std::size_t encodeForwardHeader(std::span<std::byte> out, const Endpoint& source,
                                              const Endpoint& group, std::size_t messageBytes);

}  // namespace vnetd
