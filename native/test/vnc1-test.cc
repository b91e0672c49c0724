#include "wire/vnc1.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "test/check.h"
#include "test/vector-table.h"
#include "wire/bytes.h"

namespace vnetd {
namespace {

using Octets = std::vector<std::byte>;

struct Tlv {
  std::uint8_t type;
  std::size_t valueBytes;
};

Octets makeMessage(std::uint8_t type, const std::vector<Tlv>& tlvs = {}) {
  Octets message(kVnc1HeaderBytes);
  storeU32(&message[4], 0x564E4331);
  storeU8(&message[8], type);
  storeU16(&message[20], 0x1234);
  storeU32(&message[60], 0x10000001);
  for (const Tlv& tlv : tlvs) {
    message.push_back(std::byte{tlv.type});
    message.push_back(static_cast<std::byte>(tlv.valueBytes >> 8U));
    message.push_back(static_cast<std::byte>(tlv.valueBytes));
    message.resize(message.size() + tlv.valueBytes, std::byte{0x5A});
  }
  message.resize(message.size() + kVnc1MacBytes, std::byte{0xAC});
  storeU16(&message[10], static_cast<std::uint16_t>(message.size()));
  return message;
}

// A HELLO with one TLV of each kind.
Octets makeFullHello() {
  return makeMessage(
      1, {{1, 38}, {2, 4}, {3, 4}, {4, 16}, {5, 16}, {5, 16}, {6, 8}, {7, 4}, {8, 33}, {200, 5}});
}

const char* nameOf(Vnc1Check check) {
  switch (check) {
    case Vnc1Check::kGood:
      return "good";
    case Vnc1Check::kNotVnc1:
      return "not-vnc1";
    case Vnc1Check::kWrongLength:
      return "wrong-length";
    case Vnc1Check::kWrongType:
      return "wrong-type";
    case Vnc1Check::kWrongField:
      return "wrong-field";
    case Vnc1Check::kWrongTlvs:
      return "wrong-tlvs";
  }
  return "?";
}

TEST("each vector is judged as its row says, like by the codec of vnetd") {
  const auto rows = test::readVectors("vnc1.tsv");
  REQUIRE(rows.size() > 20);
  for (const auto& row : rows) {
    const std::string check = nameOf(checkVnc1(test::parseHex(row.at("payload"))));
    if (check != row.at("check")) {
      test::reportFailure(__FILE__, __LINE__, row.at("name") + ": " + check);
    }
  }
}

TEST("the types we know are good, those kept for later and others are not") {
  for (unsigned type = 0; type <= 255; ++type) {
    const bool isKnown = type == 1 || type == 2 || (type >= 6 && type <= 9);
    CHECK(checkVnc1(makeMessage(static_cast<std::uint8_t>(type))) ==
          (isKnown ? Vnc1Check::kGood : Vnc1Check::kWrongType));
  }
}

TEST("every TLV has a place, unknown ones too, and may be the last") {
  CHECK(checkVnc1(makeFullHello()) == Vnc1Check::kGood);
  CHECK(checkVnc1(makeMessage(7, {{8, 60'000}})) == Vnc1Check::kGood);
  CHECK(checkVnc1(makeMessage(1, {{8, 0}})) == Vnc1Check::kGood);
}

TEST("any other length than the datagram's is refused") {
  const Octets hello = makeFullHello();
  for (std::size_t size = 0; size < hello.size() + 40; ++size) {
    Octets cut = hello;
    cut.resize(size);
    CHECK_EQ(checkVnc1(cut) == Vnc1Check::kGood, size == hello.size());
  }
}

TEST("a chain that does not end just at the MAC is refused") {
  for (std::size_t size = kVnc1BytesMin; size < makeFullHello().size(); ++size) {
    // The MAC's octets, wherever the cut puts them, are no TLV that fits.
    Octets cut = makeFullHello();
    cut.resize(size);
    storeU16(&cut[10], static_cast<std::uint16_t>(size));
    const std::size_t tlvBytes = size - kVnc1BytesMin;
    constexpr std::array kBorders{0U, 41U, 48U, 55U, 74U, 93U, 112U, 123U, 130U, 166U, 174U};
    const bool isBorder = std::ranges::find(kBorders, tlvBytes) != kBorders.end();
    CHECK(checkVnc1(cut) == (isBorder ? Vnc1Check::kGood : Vnc1Check::kWrongTlvs));
  }
}

TEST("a TLV of a known kind has its kind's size") {
  struct Row {
    std::uint8_t type;
    std::size_t valueBytes;
  };
  for (const Row& row : {Row{2, 4}, Row{3, 4}, Row{4, 16}, Row{5, 16}, Row{6, 8}, Row{7, 4},
                         Row{9, 6}, Row{10, 4}}) {
    for (std::size_t valueBytes = 0; valueBytes < 40; ++valueBytes) {
      CHECK(checkVnc1(makeMessage(1, {{row.type, valueBytes}})) ==
            (valueBytes == row.valueBytes ? Vnc1Check::kGood : Vnc1Check::kWrongTlvs));
    }
  }
}

TEST("addresses come in entries of 19 octets") {
  for (std::size_t valueBytes = 0; valueBytes < 80; ++valueBytes) {
    CHECK(checkVnc1(makeMessage(1, {{1, valueBytes}})) ==
          (valueBytes % 19 == 0 ? Vnc1Check::kGood : Vnc1Check::kWrongTlvs));
  }
}

TEST("the number of TLVs has a limit") {
  const std::vector<Tlv> most(kVnc1TlvCountMax, {8, 1});
  const std::vector<Tlv> oneMore(kVnc1TlvCountMax + 1, {8, 1});
  CHECK(checkVnc1(makeMessage(1, most)) == Vnc1Check::kGood);
  CHECK(checkVnc1(makeMessage(1, oneMore)) == Vnc1Check::kWrongTlvs);
}

TEST("key id 0 and SPIs no sender may draw are refused; SPI 0 is for keys only held") {
  Octets message = makeMessage(1);
  storeU16(&message[20], 0);
  CHECK(checkVnc1(message) == Vnc1Check::kWrongField);
  struct Row {
    std::uint32_t spi;
    Vnc1Check check;
  };
  for (const Row& row :
       {Row{0, Vnc1Check::kGood}, Row{1, Vnc1Check::kWrongField},
        Row{0x0FFFFFFF, Vnc1Check::kWrongField}, Row{0x10000000, Vnc1Check::kGood},
        Row{0x7FFFFFFF, Vnc1Check::kGood}, Row{0x80000000, Vnc1Check::kWrongField}}) {
    message = makeMessage(1);
    storeU32(&message[60], row.spi);
    CHECK(checkVnc1(message) == row.check);
  }
}

TEST("another first word or magic is not VNC1") {
  for (std::size_t at = 0; at < 8; ++at) {
    Octets message = makeMessage(1);
    message[at] ^= std::byte{1};
    CHECK(checkVnc1(message) == Vnc1Check::kNotVnc1);
  }
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
