// Both codecs, this one and src/encap, are held to test/vectors/legacy.tsv.
#include "wire/legacy.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "test/check.h"
#include "test/vector-table.h"

namespace vnetd {
namespace {

using test::parseHex;
using test::printHex;
using Octets = std::vector<std::byte>;

std::string describe(const FrameMessage& frame) {
  return "frame vnet=" + frame.vnetId.toText() + " frame=" + printHex(frame.frame);
}

std::string describe(const VarpMessage& varp) {
  return "varp opcode=" +
         std::string(varp.opcode == VarpOpcode::kRequest ? "request" : "announce") +
         " vnet=" + varp.vnetId.toText() + " mac=" + varp.mac.toText() +
         " address=" + varp.address.toText();
}

std::string describe(const ForwardMessage& forward) {
  return "forward source=" + forward.source.ip().toText() +
         " sourcePort=" + std::to_string(forward.source.udpPort) +
         " destination=" + forward.destination.ip().toText() +
         " destinationPort=" + std::to_string(forward.destination.udpPort) +
         " ttl=" + std::to_string(forward.ttl) + " message=" + printHex(forward.message);
}

std::string describe(const DropMessage& drop) {
  return "drop reason=" + std::string(kCounterNames.at(static_cast<std::size_t>(drop.reason)));
}

std::string describeDatagram(std::span<const std::byte> payload) {
  return std::visit([](const auto& outcome) { return describe(outcome); }, decodeDatagram(payload));
}

// The payload is a vector of just its size: AddressSanitizer finds a read behind it.
std::string describeRow(const test::VectorRow& row) {
  const Octets payload = parseHex(row.at("payload"));
  const std::span<const std::byte> octets(payload);
  if (row.at("carrier") == "udp") {
    return describeDatagram(octets);
  }
  return std::visit([](const auto& outcome) { return describe(outcome); }, decodeEtherip(octets));
}

Octets encode(const FrameMessage& frame) {
  Octets out(kFrameMessageHeaderBytes);
  encodeFrameHeader(std::span(out).first<kFrameMessageHeaderBytes>(), frame.vnetId);
  out.insert(out.end(), frame.frame.begin(), frame.frame.end());
  return out;
}

Octets encode(const VarpMessage& varp) {
  Octets out(kVarpBytes);
  encodeVarp(std::span(out).first<kVarpBytes>(), varp);
  return out;
}

Octets encode(const ForwardMessage& forward) {
  Octets out(kForwardHeaderBytesMax);
  const Endpoint source = forward.source.ip().isUnspecified() ? Endpoint{} : forward.source;
  out.resize(encodeForwardHeader(out, source, forward.destination, forward.message.size()));
  out.insert(out.end(), forward.message.begin(), forward.message.end());
  return out;
}

Octets encode(const DropMessage& /*drop*/) { return {}; }

Octets encodeRow(const test::VectorRow& row) {
  const Octets payload = parseHex(row.at("payload"));
  if (row.at("carrier") == "udp") {
    return std::visit([](const auto& outcome) { return encode(outcome); }, decodeDatagram(payload));
  }
  const EtheripOutcome outcome = decodeEtherip(payload);
  const auto* frame = std::get_if<FrameMessage>(&outcome);
  Octets out(kEtheripHeaderBytes);
  if (frame != nullptr) {
    encodeEtheripHeader(std::span(out).first<kEtheripHeaderBytes>(), frame->vnetId);
    out.insert(out.end(), frame->frame.begin(), frame->frame.end());
  }
  return out;
}

// Little-endian, microseconds: the form of the capture.
std::vector<Octets> readCapturedPayloads() {
  std::ifstream file(std::string(VNETD_VECTOR_DIR) + "/legacy-vnet.pcap", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<Octets> payloads;
  std::uint32_t packetBytes = 0;
  for (std::size_t at = 24; at + 16 <= text.size(); at += 16 + packetBytes) {
    std::memcpy(&packetBytes, &text.at(at + 8), sizeof packetBytes);
    // Ethernet 14, IPv4 20 without options, UDP 8.
    const std::string payload = text.substr(at + 16 + 42, packetBytes - 42);
    const auto octets = std::as_bytes(std::span(payload));
    payloads.emplace_back(octets.begin(), octets.end());
  }
  return payloads;
}

TEST("each vector is read as its row says") {
  const auto rows = test::readVectors("legacy.tsv");
  REQUIRE(rows.size() > 300);
  for (const auto& row : rows) {
    std::string expected = row.at("outcome");
    expected.append(" ").append(row.at("detail"));
    if (!test::checkEqual(describeRow(row), expected, "", __FILE__, __LINE__)) {
      test::reportFailure(__FILE__, __LINE__, row.at("name"));
    }
  }
}

TEST("each vector that has one form is written so") {
  std::size_t exactCount = 0;
  for (const auto& row : test::readVectors("legacy.tsv")) {
    if (row.at("exact") == "yes") {
      ++exactCount;
      const std::string actual = printHex(encodeRow(row));
      if (actual != row.at("payload")) {
        test::reportFailure(__FILE__, __LINE__, row.at("name") + ": wrote " + actual);
      }
    }
  }
  CHECK(exactCount > 30);
}

TEST("every datagram of the original's capture is understood, and written again octet for octet") {
  const auto payloads = readCapturedPayloads();
  CHECK_EQ(payloads.size(), 20U);
  for (const Octets& payload : payloads) {
    const auto outcome = decodeDatagram(payload);
    CHECK(!std::holds_alternative<DropMessage>(outcome));
    CHECK_EQ(printHex(std::visit([](const auto& message) { return encode(message); }, outcome)),
             printHex(payload));
  }
}

TEST("every length 0 ... 100 of each captured message, and every flipped bit, has an outcome") {
  std::size_t count = 0;
  for (const Octets& payload : readCapturedPayloads()) {
    for (std::size_t length = 0; length <= std::min<std::size_t>(payload.size(), 100); ++length) {
      const Octets cut(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(length));
      count += describeDatagram(cut).empty() ? 0U : 1U;
    }
    for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
      Octets flipped = payload;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
      count += describeDatagram(flipped).empty() ? 0U : 1U;
    }
  }
  CHECK(count > 10'000);
}

TEST("a VARP message keeps what it came with, octets behind it included") {
  Octets payload = readCapturedPayloads().at(6);
  payload.resize(60);
  const auto outcome = decodeDatagram(payload);
  const auto* varp = std::get_if<VarpMessage>(&outcome);
  REQUIRE(varp != nullptr);
  CHECK_EQ(varp->raw.size(), 60U);
  CHECK(varp->raw.data() == payload.data());
}

TEST("ESP and VNC1 are messages of secure vnets, and nothing else is") {
  CHECK(isSecureMessage(parseHex("00000000564e433101000000")));
  CHECK(isSecureMessage(parseHex("1000000000000001")));
  CHECK(isSecureMessage(parseHex("fffffffe00000001")));
  CHECK(!isSecureMessage(parseHex("0000000000000000")));
  CHECK(!isSecureMessage(parseHex("ffffffff00000001")));
  CHECK(!isSecureMessage(parseHex("0fffffff00000001")));
  CHECK(!isSecureMessage(parseHex("0002000000400000")));
  CHECK(!isSecureMessage(parseHex("10000000000001")));
}

TEST("a forward header is refused where it would be wrong") {
  std::array<std::byte, kForwardHeaderBytesMax> out{};
  const Endpoint group = Endpoint::from(IpAddress::fromIpv4(0xE00A0001), 1798);
  const Endpoint host = Endpoint::from(IpAddress::fromIpv4(0x0A4D0001), 1798);
  const Endpoint host6{.udpPort = 1798, .family = kFamilyIpv6};
  CHECK_EQ(encodeForwardHeader(out, {}, group, 100), kForwardHeaderBytes4);
  CHECK_EQ(encodeForwardHeader(out, host, group, 65'507), kForwardHeaderBytes4);
  CHECK_EQ(encodeForwardHeader(out, host, group, 65'508), 0U);
  CHECK_EQ(encodeForwardHeader(out, host6, group, 100), 0U);
  CHECK_EQ(encodeForwardHeader(out, host, {}, 100), 0U);
  CHECK_EQ(encodeForwardHeader(std::span(out).first(kForwardHeaderBytes4 - 1), host, group, 1), 0U);
}

TEST("IPv4 addresses know what they can be") {
  struct Row {
    std::uint32_t address;
    bool isHost;
    bool isMulticast;
  };
  static constexpr std::array kRows = {
      Row{0x0A000001, true, false},  Row{0xF0000001, true, false},  Row{0x7F000001, false, false},
      Row{0x00010203, false, false}, Row{0xFFFFFFFF, false, false}, Row{0, false, false},
      Row{0xE00A0001, false, true},  Row{0xEFFFFFFF, false, true},
  };
  for (const Row& row : kRows) {
    const IpAddress address = IpAddress::fromIpv4(row.address);
    CHECK_EQ(address.isHost(), row.isHost);
    CHECK_EQ(address.isMulticast(), row.isMulticast);
    CHECK_EQ(address.isUnspecified(), row.address == 0);
  }
  CHECK(!IpAddress{}.isHost());
  CHECK_EQ(IpAddress{}.toText(), "none");
}

TEST("endpoints are printed, hashed and compared by address, family and port") {
  const IpAddress four = IpAddress::fromIpv4(0x0A4D0001);
  CHECK_EQ(Endpoint::from(four, 1798).toText(), "10.77.0.1:1798");
  const Octets mapped = parseHex("00000000000000000000ffff0a4d0001");
  CHECK(IpAddress::fromIpv6(std::span(mapped).first<16>()) == four);
  const Octets linkLocal = parseHex("fe800000000000000000000000000001");
  const IpAddress six = IpAddress::fromIpv6(std::span(linkLocal).first<16>());
  CHECK(six.isHost());
  CHECK_EQ(Endpoint::from(six, 7).toText(), "[fe80::1]:7");
  constexpr std::hash<Endpoint> kHash;
  CHECK(kHash(Endpoint::from(six, 7)) != kHash(Endpoint::from(six, 8)));
}

TEST("MAC addresses know what they are") {
  const auto mac = [](const char* hex) {
    const Octets octets = parseHex(hex);
    return MacAddress::fromBytes(std::span(octets).first<kMacAddressBytes>());
  };
  CHECK_EQ(mac("00163e01020f").toText(), "00:16:3e:01:02:0f");
  CHECK(MacAddress::fromBits(mac("00163e01020f").toBits()) == mac("00163e01020f"));
  CHECK(mac("00163e01020f").isStation());
  CHECK(!mac("01005e0a0001").isStation());
  CHECK(!mac("000000000000").isStation());
  CHECK(mac("ffffffffffff").isGroup());
  CHECK(mac("0180c2000000").isLinkLocalReserved());
  CHECK(mac("0180c200000f").isLinkLocalReserved());
  CHECK(!mac("0180c2000010").isLinkLocalReserved());
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
